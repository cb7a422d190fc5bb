import math

import numpy as np
import pytest

from benchmarks.keypoint_regression import PosedFrames, landmark_error

KEYPOINTS, POINTS, EYES = 3, 5, (0, 4)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def posed(rng):
    """A maker of frames whose landmarks are one affine function of their keypoints, eyes some 10 apart."""
    matrix = rng.normal(size=(2 * KEYPOINTS, 2 * POINTS))
    offset = np.zeros((POINTS, 2))
    offset[EYES[1]] = (10, 0)
    # The eyes move together, so that the distance between them is known.
    matrix[:, 2 * EYES[1] :] = matrix[:, 2 * EYES[0] : 2 * EYES[0] + 2]

    def make(count):
        keypoints = rng.uniform(-1, 1, size=(count, KEYPOINTS, 2))
        points = (keypoints.reshape(count, -1) @ matrix).reshape(count, POINTS, 2) + offset
        return PosedFrames(keypoints.astype(np.float32), points.astype(np.float32))

    return make


def test_an_affine_function_is_found(posed):
    assert landmark_error([posed(20), posed(30)], [posed(10)], EYES) == pytest.approx(0, abs=1e-5)


def test_each_clip_counts_alike_whatever_its_length(posed):
    exact, off = posed(30), posed(10)
    off.points[:, 1] += (3, 4)  # one landmark of five, by 5 of the 10 between the eyes
    expected = (0 + 5 / 10 / POINTS) / 2
    assert landmark_error([posed(50)], [exact, off], EYES) == pytest.approx(expected, abs=1e-5)


def test_noise_stays(posed, rng):
    held_out = posed(4000)
    inner = held_out.points[:, 1:4]
    inner += rng.normal(0, 0.2, size=inner.shape)
    rayleigh = 0.2 * math.sqrt(math.pi / 2)  # the mean length of such noise
    expected = rayleigh / 10 * 3 / POINTS
    assert landmark_error([posed(50)], [held_out], EYES) == pytest.approx(expected, rel=0.02)


def test_keypoints_that_never_move_give_the_mean_face(posed):
    train, held_out = posed(50), posed(1)
    still = [PosedFrames(np.zeros_like(each.keypoints), each.points) for each in (train, held_out)]
    distance = np.linalg.norm(train.points.mean(axis=0) - held_out.points[0], axis=-1)
    assert landmark_error(still[:1], still[1:], EYES) == pytest.approx(distance.mean() / 10, abs=1e-4)
