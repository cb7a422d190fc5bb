import numpy as np
import pytest

from faceanim.inference.keypoints import KeypointArray
from faceanim.inference.motion import smooth_keypoints

FPS = 25
TIMES = np.arange(100) / FPS


def steps(points: KeypointArray) -> float:
    """Return the mean movement of a keypoint between frames."""
    return float(np.linalg.norm(np.diff(points.value, axis=0), axis=-1).mean())


def track(x: np.ndarray) -> KeypointArray:
    """Return ten keypoints that move along x."""
    value = np.zeros((len(x), 10, 2), np.float32)
    value[..., 0] = x[:, None]
    return KeypointArray(value)


@pytest.mark.parametrize("noise", [0.001, 0.004, 0.01])
def test_a_still_face_shakes_at_most_a_third_as_much(noise):
    shaking = np.random.default_rng(0).normal(0, noise, (100, 10, 2)).astype(np.float32)
    assert steps(smooth_keypoints(KeypointArray(shaking), TIMES)) < steps(KeypointArray(shaking)) / 3


@pytest.mark.parametrize("size", [0.05, 0.2, 0.5])
def test_a_step_is_followed_within_a_frame_either_way(size):
    step = track(np.where(np.arange(100) < 50, 0, size))
    followed = smooth_keypoints(step, TIMES).value[:, 0, 0]
    half_way = int(np.argmax(followed > size / 2))
    assert abs(half_way - 50) <= 1
    assert followed[51] > 0.75 * size
    assert followed[48] < 0.25 * size


@pytest.mark.parametrize("hz", [0.5, 1.0, 2.0])
def test_a_nod_is_neither_late_nor_smaller(hz):
    nod = 0.15 * np.sin(2 * np.pi * hz * TIMES)
    followed = smooth_keypoints(track(nod), TIMES).value[:, 0, 0]
    lags = [np.corrcoef(nod[10:-10], np.roll(followed, -lag)[10:-10])[0, 1] for lag in range(-3, 4)]
    assert abs(int(np.argmax(lags)) - 3) == 0
    assert followed[10:-10].std() > 0.85 * nod[10:-10].std()


def test_jacobians_are_smoothed_as_their_keypoints_are():
    random = np.random.default_rng(0)
    value = random.normal(0, 0.004, (100, 10, 2)).astype(np.float32)
    jacobian = (np.eye(2) + random.normal(0, 0.01, (100, 10, 2, 2))).astype(np.float32)
    made = smooth_keypoints(KeypointArray(value, jacobian), TIMES)
    assert np.abs(np.diff(made.jacobian, axis=0)).mean() < np.abs(np.diff(jacobian, axis=0)).mean() / 3
    assert np.allclose(made.value, smooth_keypoints(KeypointArray(value), TIMES).value)


def test_strength_0_changes_nothing_and_more_smooths_more():
    shaking = KeypointArray(np.random.default_rng(0).normal(0, 0.01, (100, 10, 2)).astype(np.float32))
    assert smooth_keypoints(shaking, TIMES, 0) is shaking
    strengths = [steps(smooth_keypoints(shaking, TIMES, strength)) for strength in (0.5, 1.0, 4.0)]
    assert strengths == sorted(strengths, reverse=True)


def test_smoothing_depends_on_time_and_not_on_frames():
    """The same second in twice as many frames is smoothed alike."""
    wave = 0.1 * np.sin(2 * np.pi * TIMES)
    twice = np.arange(200) / (2 * FPS)
    once = smooth_keypoints(track(wave), TIMES).value[:, 0, 0]
    often = smooth_keypoints(track(0.1 * np.sin(2 * np.pi * twice)), twice).value[::2, 0, 0]
    assert np.allclose(once, often, atol=0.01)


@pytest.mark.parametrize("count", [1, 2])
def test_short_videos(count):
    points = track(np.zeros(count))
    assert len(smooth_keypoints(points, TIMES[:count])) == count
