from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from faceanim.evaluation.face_metrics import (
    FACE_SIDE,
    estimate_head_rotation,
    eye_aspect,
    mouth_aspect,
    rotation_angle,
)
from faceanim.faces.head_pose import Floats, fit_head_pose
from faceanim.inference.face_motion import DEPTH, WIDEST_EYE, WIDEST_TURN, Strengths, move_face
from faceanim.synthetic.head import rotation
from tests.helpers.landmark_faces import make_shape, show_landmarks

EYES, MOUTH, JAW, BROWS = slice(36, 48), slice(48, 68), slice(0, 17), slice(17, 27)
LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))
LIPS = ((50, 61, 67, 58), (51, 62, 66, 57), (52, 63, 65, 56))
CLOSED = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
TURN = (25.0, -10.0, 8.0)


@pytest.fixture(scope="module")
def shapes() -> list[Floats]:
    return [make_shape(seed) for seed in range(6)]


def frames(*points: Floats) -> Floats:
    return np.stack(points)


def pose_change(points: Floats, start: Floats) -> float:
    """Return the angle in degrees between the poses that the evaluation sees in two frames."""
    pixels = [(face + 1) * np.float32(FACE_SIDE / 2) for face in (points, start)]
    return rotation_angle(*(estimate_head_rotation(face, FACE_SIDE) for face in pixels))


def opening(points: Floats, pair: tuple[int, int]) -> float:
    """Return how far below the first landmark the second is, on the face."""
    places = fit_head_pose(points[None].astype(float)).unfold(points[None].astype(float), DEPTH)[0]
    return float(places[pair[1], 1] - places[pair[0], 1])


def test_a_face_that_does_not_move_leaves_the_portrait_as_it_is(shapes):
    portrait = frames(show_landmarks(shapes[0], (-20, 5, 3), mouthSmileLeft=0.6))
    start = frames(show_landmarks(shapes[1], TURN, jawOpen=0.4))
    for strengths in (None, Strengths(2, 2, 0.5, 0), Strengths(head=0)):
        assert np.allclose(move_face(portrait, start, start, strengths)[0], portrait[0], atol=1e-6)


def test_landmarks_of_no_face_start_at_the_portrait_and_stay_finite():
    portrait, start, driving = np.random.default_rng(0).uniform(-1, 1, (3, 1, 68, 2)).astype(np.float32)
    assert np.allclose(move_face(portrait, start, start), portrait, atol=1e-6)
    assert np.isfinite(move_face(portrait, start, driving)).all()
    point = np.zeros((1, 68, 2), np.float32)
    assert np.allclose(move_face(point, point, point), point)
    assert np.isfinite(move_face(portrait, point, driving)).all()


@pytest.mark.parametrize("turn", [(0, 0, 0), TURN, (-45, 0, 0)])
def test_a_portrait_of_the_start_ends_where_the_driver_does(shapes, turn):
    start = frames(show_landmarks(shapes[0], (5, 0, 0), jawOpen=0.1))
    driving = frames(
        show_landmarks(shapes[0], turn, jawOpen=0.7, browInnerUp=0.8),
        show_landmarks(shapes[0], turn, eyeBlinkLeft=0.5, mouthPucker=0.6),
    )
    assert np.allclose(move_face(start, start, driving), driving, atol=1e-5)


def test_another_head_in_another_pose_is_nearer_to_the_truth_than_by_differences_of_landmarks(shapes):
    aside = (-20.0, 5.0, 0.0)
    turned = rotation(*np.radians(TURN)) @ rotation(*np.radians(aside))
    end = tuple(Rotation.from_matrix(turned).as_euler("YXZ", degrees=True) * (1, -1, -1))
    errors, difference_errors = [], []
    for driver, person in zip(shapes, shapes[1:] + shapes[:1], strict=True):
        start, driving = (frames(show_landmarks(driver, turn)) for turn in ((0, 0, 0), TURN))
        portrait, truth = (frames(show_landmarks(person, turn)) for turn in (aside, end))
        errors.append(np.abs(move_face(portrait, start, driving) - truth).mean())
        difference_errors.append(np.abs(portrait + driving - start - truth).mean())
    assert np.mean(errors) < 0.5 * np.mean(difference_errors)


def test_a_larger_portrait_moves_further_and_the_same_by_its_size(shapes):
    start, driving = frames(show_landmarks(shapes[0])), frames(show_landmarks(shapes[0], TURN, jawOpen=0.5))
    moved = move_face(1.5 * start + 0.1, start, driving)
    assert np.allclose(moved, 1.5 * driving + 0.1, atol=1e-5)


def test_head_0_leaves_the_pose_and_the_expression_moves(shapes):
    errors = []
    for driver, person in zip(shapes, shapes[1:] + shapes[:1], strict=True):
        portrait, start = frames(show_landmarks(person, (-10, 0, 0))), frames(show_landmarks(driver))
        driving = frames(show_landmarks(driver, (12, 5, 5), jawOpen=0.6), show_landmarks(driver, (-12, 0, 0)))
        talking, turned = move_face(portrait, start, driving, Strengths(head=0))
        errors += [pose_change(face, portrait[0]) for face in (talking, turned)]
        assert mouth_aspect(talking) > mouth_aspect(portrait[0]) + 0.1
        assert mouth_aspect(turned) == pytest.approx(mouth_aspect(portrait[0]), abs=0.03)
    assert np.mean(errors) < 1


def test_expression_0_leaves_eyes_and_mouth_and_the_head_moves(shapes):
    portrait, start = frames(show_landmarks(shapes[1], jawOpen=0.2)), frames(show_landmarks(shapes[0]))
    driving = frames(show_landmarks(shapes[0], (0, 0, 20), jawOpen=0.7, **CLOSED))
    (moved,) = move_face(portrait, start, driving, Strengths(expression=0))
    assert mouth_aspect(moved) == pytest.approx(mouth_aspect(portrait[0]), abs=0.02)
    assert eye_aspect(moved) == pytest.approx(eye_aspect(portrait[0]), abs=0.02)
    assert pose_change(moved, portrait[0]) == pytest.approx(20, abs=2)


def test_eyes_and_mouth_are_locked_apart(shapes):
    portrait, start = frames(show_landmarks(shapes[1])), frames(show_landmarks(shapes[0]))
    driving = frames(show_landmarks(shapes[0], (0, 0, 0), jawOpen=0.7, browInnerUp=0.8, **CLOSED))
    free, no_eyes, no_mouth = (
        move_face(portrait, start, driving, Strengths(head=0, eyes=eyes, mouth=mouth))[0]
        for eyes, mouth in ((1, 1), (0, 1), (1, 0))
    )
    for part in (EYES, BROWS):
        assert np.allclose(no_eyes[part], portrait[0, part], atol=1e-6)
        assert np.allclose(no_mouth[part], free[part])
    for part in (MOUTH, JAW):
        assert np.allclose(no_mouth[part], portrait[0, part], atol=1e-6)
        assert np.allclose(no_eyes[part], free[part])


def test_strengths_are_monotone(shapes):
    portrait, start = frames(show_landmarks(shapes[1], TURN)), frames(show_landmarks(shapes[0], TURN))
    driving = frames(show_landmarks(shapes[0], (-10, 5, 0), jawOpen=0.5, eyeBlinkLeft=0.6, eyeBlinkRight=0.6))
    levels = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)

    def measure(name: str, value) -> list[float]:
        return [value(move_face(portrait, start, driving, Strengths(**{name: level}))[0]) for level in levels]

    assert np.all(np.diff(measure("head", lambda face: pose_change(face, portrait[0]))) > 1)
    for name in ("expression", "mouth"):
        assert np.all(np.diff(measure(name, lambda face: opening(face, (62, 66)))) > 0.01)
    for name in ("expression", "eyes"):
        closing = np.diff(measure(name, lambda face: opening(face, LIDS[0])))
        assert np.all(closing < 1e-3)
        assert np.all(closing[:3] < -0.005)


def test_closed_eyes_close_eyes_of_any_size(shapes):
    for driver, person in zip(shapes, shapes[1:] + shapes[:1], strict=True):
        start = frames(show_landmarks(driver, eyeSquintLeft=0.3))
        driving = frames(show_landmarks(driver, (10, -10, 5), **CLOSED))
        for portrait in (show_landmarks(person, TURN), show_landmarks(person, eyeWideLeft=1.0)):
            (moved,) = move_face(portrait[None], start, driving)
            for pair in LIDS:
                assert opening(moved, pair) == pytest.approx(0, abs=0.01)
                assert opening(portrait, pair) > 0.05


def test_a_closing_mouth_closes_a_mouth_that_is_more_open(shapes):
    portrait = frames(show_landmarks(shapes[1], jawOpen=0.5))
    start, driving = (frames(show_landmarks(shapes[0], jawOpen=jaw, mouthClose=jaw - gap))
                      for jaw, gap in ((0.4, 0.4), (0.1, 0.0)))  # fmt: skip
    (moved,) = move_face(portrait, start, driving)
    change = opening(driving[0], (62, 66)) / opening(start[0], (62, 66))
    assert change < 0.5
    assert opening(moved, (62, 66)) == pytest.approx(change * opening(portrait[0], (62, 66)), abs=0.01)


def test_lips_do_not_cross_and_stay_in_order(shapes):
    rng = np.random.default_rng(0)
    names = ("mouthRollLower", "mouthRollUpper", "mouthPressLeft", "mouthShrugLower", "mouthPucker",
             "mouthFunnel", "mouthUpperUpLeft", "mouthLowerDownRight")  # fmt: skip

    def mouth(shape: Floats) -> Floats:
        jaw = rng.random()
        actions = {"jawOpen": jaw, "mouthClose": rng.choice((0, 0.5, 1)) * jaw}
        actions |= dict(zip(names, rng.random(len(names)) * rng.integers(2, size=len(names)), strict=True))
        return frames(show_landmarks(shape, tuple(rng.uniform(-20, 20, 3)), **actions))

    for _ in range(60):
        person, driver = shapes[rng.integers(6)], shapes[rng.integers(6)]
        portrait, start, end = mouth(person), mouth(driver), mouth(driver)
        (moved,) = move_face(portrait, start, end, Strengths(*rng.uniform(0, 3, 4)))
        for lips in LIPS:
            for pair in pairwise(lips):
                assert opening(moved, pair) >= min(opening(portrait[0], pair), 0) - 0.02


def test_a_start_in_a_blink_tears_no_eye_open(shapes):
    portrait, driving = frames(show_landmarks(shapes[1])), frames(show_landmarks(shapes[0]))
    (moved,) = move_face(portrait, frames(show_landmarks(shapes[0], (0, 0, 0), **CLOSED)), driving)
    assert eye_aspect(moved) < 1.1 * WIDEST_EYE


def test_no_strength_turns_a_head_too_far(shapes):
    portrait, start = frames(show_landmarks(shapes[1])), frames(show_landmarks(shapes[0]))
    driving = frames(show_landmarks(shapes[0], (40, 0, 0)))
    moved = move_face(portrait, start, driving, Strengths(head=3))
    here, there = fit_head_pose(np.concatenate((portrait, moved)).astype(float)).rotation
    assert rotation_angle(there, here) < np.degrees(WIDEST_TURN) + 5


def test_frames_without_landmarks_have_none(shapes):
    face, none = show_landmarks(shapes[0]), np.full((68, 2), np.nan, np.float32)
    moved = move_face(frames(face), frames(face), frames(face, none, face))
    assert np.isfinite(moved[[0, 2]]).all()
    assert np.isnan(moved[1]).all()
    for portrait, start in ((none, face), (face, none)):
        assert np.isnan(move_face(frames(portrait), frames(start), frames(face, face))).all()
    assert move_face(frames(face), frames(face), frames(none)).shape == (1, 68, 2)


def test_a_frame_moves_alike_alone_and_among_others(shapes):
    portrait, start = frames(show_landmarks(shapes[1])), frames(show_landmarks(shapes[0]))
    driving = frames(*(show_landmarks(shapes[0], (yaw, 0, 0), jawOpen=0.3) for yaw in (0, 10, 20)))
    alone = [move_face(portrait, start, frames(face))[0] for face in driving]
    assert np.allclose(move_face(portrait, start, driving), alone, atol=1e-6)
