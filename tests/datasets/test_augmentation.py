import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose
from skimage.data import astronaut

from faceanim.datasets.animation import (
    MIRRORED_POINTS,
    NO_POINTS,
    LandmarkedPair,
    augment_pair,
    mirror_pair,
    withhold_landmarks,
)
from faceanim.datasets.frames import mirror_frame
from tests.helpers.tiny import AUGMENT, UNCHANGED

SIZE = 96
FACE = np.ascontiguousarray(astronaut()[:SIZE, 170 : 170 + SIZE])


def without_points(frame=FACE):
    return LandmarkedPair((frame, frame), (NO_POINTS, NO_POINTS))


def test_both_frames_are_augmented_identically():
    mirrors = 0
    for seed in range(20):
        source, driving = augment_pair(without_points(), AUGMENT, np.random.default_rng(seed)).frames
        assert np.array_equal(source, driving)
        assert not np.array_equal(source, FACE)
        mirrors += (
            np.corrcoef(source.ravel(), FACE.ravel())[0, 1]
            < np.corrcoef(source.ravel(), mirror_frame(FACE).ravel())[0, 1]
        )
    assert 4 <= mirrors <= 16


def test_nothing_changes_if_all_is_switched_off():
    pair = augment_pair(
        LandmarkedPair((FACE, FACE), (np.ones((10, 2), np.float32),) * 2), UNCHANGED, np.random.default_rng(0)
    )
    assert np.array_equal(pair.frames[0], FACE)
    assert_allclose(pair.points[0], 1)


@pytest.mark.parametrize("part", ["rotation", "scale", "stretch", "shift"])
def test_points_move_with_the_image(part):
    """A white dot drawn at each point is at the augmented point, whichever part is switched on."""
    points = np.array([[30.0, 40.0], [60.0, 50.0], [48.0, 48.0]], np.float32)
    config = UNCHANGED.model_copy(update={part: getattr(AUGMENT, part)})
    for seed in range(5):
        for i, point in enumerate(points):
            frame = np.zeros((SIZE, SIZE, 3), np.uint8)
            cv2.circle(frame, tuple(int(edge) for edge in point), 3, (255, 255, 255), -1)
            pair = augment_pair(
                LandmarkedPair((frame, frame), (points, points)), config, np.random.default_rng(seed)
            )
            y, x = np.nonzero(pair.frames[1][..., 0] > 127)
            assert_allclose(pair.points[1][i], (x.mean(), y.mean()), atol=0.6)
    assert np.abs(pair.points[1] - points).max() > 0.05


def test_a_mirrored_left_eye_is_a_right_eye():
    points = np.stack((np.arange(78), np.arange(78) + 20), axis=1).astype(np.float32)
    pair = mirror_pair(LandmarkedPair((FACE, FACE), (points, points)))
    assert np.array_equal(pair.frames[0], mirror_frame(FACE))
    for point, other in enumerate(MIRRORED_POINTS):
        assert pair.points[0][point].tolist() == [SIZE - 1 - points[other, 0], points[other, 1]]
    assert_allclose(mirror_pair(pair).points[0], points)


def test_color_jitter_changes_the_brightness_and_not_the_geometry():
    config = UNCHANGED.model_copy(update={"color_jitter": 0.25})
    means = []
    for seed in range(20):
        frame = augment_pair(without_points(), config, np.random.default_rng(seed)).frames[0]
        assert np.corrcoef(frame.ravel(), FACE.ravel())[0, 1] > 0.85
        means.append(frame.mean())
    assert np.std(means) > 5


def test_landmarks_are_withheld_from_both_frames_and_guides_are_kept():
    pair = LandmarkedPair((FACE, FACE), (np.ones((78, 2), np.float32),) * 2)
    withheld = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        source, driving = withhold_landmarks(pair, 0.25, rng).points
        assert np.isfinite(source[:10]).all()
        assert np.array_equal(source, driving, equal_nan=True)
        withheld += bool(np.isnan(source[10:]).all())
    assert 30 <= withheld <= 70
    assert withhold_landmarks(pair, 0.0, rng) is pair
    assert np.isfinite(pair.points[0]).all()
