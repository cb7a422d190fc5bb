from dataclasses import replace

import numpy as np
import pytest
import torch

from faceanim.inference.animator import to_arrays, to_keypoints
from faceanim.inference.face_motion import Strengths, move_face
from faceanim.inference.keypoints import KeypointArray
from tests.helpers.landmark_faces import make_shape, show_landmarks


def some(count: int, seed: int, jacobians: bool) -> KeypointArray:
    random = np.random.default_rng(seed)
    value = random.uniform(-1, 1, (count, 10, 2)).astype(np.float32)
    near = np.eye(2) + random.uniform(-0.2, 0.2, (count, 10, 2, 2))
    return KeypointArray(value, near.astype(np.float32) if jacobians else None)


@pytest.mark.parametrize("jacobians", [False, True])
def test_relative_motion_starts_at_the_portrait_and_adds_the_driving_motion(jacobians):
    portrait, start, end = some(1, 0, jacobians), some(1, 1, jacobians), some(5, 2, jacobians)
    moved = portrait.move_relative(start, end)
    assert np.allclose(moved.value - portrait.value, end.value - start.value, atol=1e-6)
    assert np.allclose(portrait.move_relative(start, start).value, portrait.value, atol=1e-6)
    # A portrait in the pose of the start ends in the pose of the end.
    assert np.allclose(start.move_relative(start, end).value, end.value, atol=1e-6)
    if jacobians:
        assert np.allclose(portrait.move_relative(start, start).jacobian, portrait.jacobian, atol=1e-5)
        assert np.allclose(start.move_relative(start, end).jacobian, end.jacobian, atol=1e-5)


def test_a_driving_face_without_jacobians_leaves_the_portraits_as_they_are():
    portrait = some(1, 0, True)
    moved = portrait.move_relative(some(1, 1, False), some(5, 2, False))
    assert moved.jacobian.shape == (5, 10, 2, 2)
    assert np.array_equal(moved.jacobian[3], portrait.jacobian[0])
    assert some(1, 0, False).move_relative(some(1, 1, True), some(5, 2, True)).jacobian is None


def test_the_strength_of_the_head_scales_the_movement_of_keypoints():
    portrait, start, end = some(1, 0, True), some(1, 1, True), some(5, 2, True)
    still, half, whole = (
        portrait.move_relative(start, end, Strengths(head=head)) for head in (0.0, 0.5, 1.0)
    )
    assert np.allclose(still.value, portrait.value)
    assert np.allclose(still.jacobian, portrait.jacobian)
    assert np.allclose(half.value, (still.value + whole.value) / 2, atol=1e-6)
    assert np.allclose(half.jacobian, (still.jacobian + whole.jacobian) / 2, atol=1e-5)


@pytest.mark.parametrize("jacobians", [False, True])
def test_landmarks_move_as_faces_do(jacobians):
    driver, person = make_shape(0), make_shape(1)
    portrait, start, end = (
        replace(some(len(faces), seed, jacobians), landmarks=np.stack(faces))
        for seed, faces in enumerate(
            (
                [show_landmarks(person)],
                [show_landmarks(driver)],
                [show_landmarks(driver, (yaw, 0, 0), jawOpen=0.5) for yaw in (0, 10, 20)],
            )
        )
    )
    strengths = Strengths(head=0.5, mouth=2)
    moved = portrait.move_relative(start, end, strengths)
    expected = move_face(portrait.landmarks, start.landmarks, end.landmarks, strengths)
    assert np.array_equal(moved.landmarks, expected)
    assert np.array_equal(moved[1:].landmarks, expected[1:])
    assert np.array_equal(KeypointArray.concatenate([moved[:1], moved[1:]]).landmarks, expected)
    assert portrait.move_relative(start, replace(end, landmarks=None)).landmarks is None


def test_runs_of_frames_are_joined_and_cut():
    whole = some(5, 0, True)
    joined = KeypointArray.concatenate([whole[:2], whole[2:]])
    assert len(joined) == 5
    assert np.array_equal(joined.value, whole.value)
    assert np.array_equal(joined.jacobian, whole.jacobian)
    assert KeypointArray.concatenate([some(2, 0, False)]).jacobian is None


def test_there_and_back_through_torch():
    points = some(3, 0, True)
    again = to_arrays(to_keypoints(points, "cpu"))
    assert np.array_equal(again.value, points.value)
    assert np.array_equal(again.jacobian, points.jacobian)
    assert to_keypoints(points, "cpu").value.dtype == torch.float32
