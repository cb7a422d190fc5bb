import numpy as np
import pytest

from faceanim.faces.framing import compute_crop_box
from faceanim.inference.driving import CROP_MARGIN, compute_squares, round_to_pixels
from faceanim.media.boxes import Box

FRAME = (1280, 720)


def faces(x: np.ndarray, side: float = 120) -> list[Box]:
    return [Box(a, 300, a + side, 300 + side) for a in x.tolist()]


def test_the_square_of_a_face_that_stays_is_fixed():
    talking = faces(500 + 15 * np.sin(np.arange(100) / 5))
    squares = compute_squares(talking, FRAME, 25)
    assert set(squares) == {compute_crop_box(talking, CROP_MARGIN, FRAME)}


def test_the_square_follows_a_face_that_moves_on():
    walking = faces(np.linspace(100, 1000, 250))
    squares = compute_squares(walking, FRAME, 25)
    assert len(squares) == 250
    assert len({round_to_pixels(square).width for square in squares}) == 1
    assert squares[0].width < 2.5 * 120
    for face, square in zip(walking, squares, strict=True):
        assert square.contains(face)
        assert Box(0, 0, *FRAME).contains(square)
    steps = np.diff([square.x0 for square in squares])
    assert (steps >= 0).all()
    assert steps.max() < 1.2 * 900 / 249
    # A jump of the square would be a jump of the portrait.
    assert np.abs(np.diff(steps)).max() < 0.1


def test_a_nod_in_a_walk_is_not_followed():
    walk = np.linspace(100, 1000, 250)
    nodding = faces(walk + 12 * np.sin(2 * np.pi * 1.5 * np.arange(250) / 25))
    with_nod, without = (
        np.array([square.x0 for square in compute_squares(boxes, FRAME, 25)])
        for boxes in (nodding, faces(walk))
    )
    assert np.abs(with_nod - without)[25:-25].max() < 0.25 * 12


def test_a_frame_smaller_than_the_head():
    big = faces(np.linspace(0, 500, 50), side=600)
    squares = compute_squares([Box(b.x0, 50, b.x1, 650) for b in big], FRAME, 25)
    assert all(
        square.contains(Box(face.x0, 50, face.x1, 650)) for face, square in zip(big, squares, strict=True)
    )


@pytest.mark.parametrize("x", [0.0, 0.9, 1.1, 7.0, 333.3])
def test_whole_pixels_are_even_and_near(x):
    square = Box(x, 2 * x, x + 100, 2 * x + 100)
    whole = round_to_pixels(square)
    assert all(edge % 2 == 0 for edge in whole)
    assert (whole.width, whole.height) == (100, 100)
    assert max(abs(a - b) for a, b in zip(whole, square, strict=True)) <= 1
