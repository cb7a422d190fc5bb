import numpy as np
import pytest
from skimage.data import astronaut

from faceanim.errors import FaceanimError
from faceanim.inference.options import Options
from faceanim.inference.portrait import Placement, find_faces, prepare_photograph, select_faces
from faceanim.media.boxes import Box
from tests.helpers.videos import head


def test_the_face_of_a_portrait():
    (face,) = select_faces(astronaut(), "astronaut.png", "largest")
    # It is at about x 185 to 265, y 70 to 175.
    assert face.iou(Box(175, 70, 275, 170)) > 0.6


def test_a_picture_without_a_face_is_named():
    with pytest.raises(FaceanimError, match=r"no face found in grey\.png"):
        select_faces(np.full((200, 200, 3), 128, np.uint8), "grey.png", "largest")


def test_faces_of_a_group_are_counted_from_the_left_small_ones_too():
    heads = [head((300, 900), (150, y), scale) for y, scale in ((200, 0.55), (500, 1.3), (700, 0.8))]
    faces = find_faces(np.hstack(heads))
    assert len(faces) == 3
    assert [int(face.x0 // 300) for face in faces] == [0, 1, 2]
    sizes = [face.width for face in faces]
    assert sizes[1] > sizes[2] > sizes[0]
    assert select_faces(np.hstack(heads), "x", "largest") == [faces[1]]
    assert select_faces(np.hstack(heads), "x", 3) == [faces[2]]
    assert select_faces(np.hstack(heads), "x", "all") == faces


def test_a_whole_picture_is_shown_no_larger_than_needed_and_even():
    large = np.zeros((3001, 4003, 3), np.uint8)
    assert prepare_photograph(large, Options()).shape == (3001, 4003, 3)
    assert prepare_photograph(large, Options(whole=True)).shape == (1438, 1920, 3)
    assert prepare_photograph(large[:333, :555], Options(face="all")).shape == (332, 554, 3)


@pytest.mark.parametrize("x0", [-30, 100, 280])
def test_a_square_is_pasted_softly_also_where_it_reaches_beyond(x0):
    below = np.full((300, 400, 3), 50, np.uint8)
    square = Box(x0, 50, x0 + 200, 250)
    canvas = below.copy()
    Placement.create(square, below).blend_into(np.full((200, 200, 3), 250, np.uint8), canvas)
    inside = canvas[150, max(x0, 0) + 60 : min(x0 + 140, 400)]
    assert (inside == 250).all()
    outside = np.ones((300, 400), bool)
    outside[50:250, max(x0, 0) : x0 + 200] = False
    assert (canvas[outside] == 50).all()
    # No new step between neighboring pixels: the seam is soft.
    row = canvas[150, max(x0, 0) : min(x0 + 200, 400), 0].astype(int)
    assert np.abs(np.diff(row)).max() <= 16
