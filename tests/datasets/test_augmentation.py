import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose
from skimage.data import astronaut

from faceanim.datasets.animation import NO_GUIDES, GuidedPair, augment_pair, mirror_pair
from faceanim.datasets.frames import mirror_frame
from faceanim.faces.landmark_sets import MIRRORED_GUIDES
from tests.helpers.tiny import AUGMENT, UNCHANGED

SIZE = 96
FACE = np.ascontiguousarray(astronaut()[:SIZE, 170 : 170 + SIZE])


def unguided(frame=FACE):
    return GuidedPair((frame, frame), (NO_GUIDES, NO_GUIDES))


def test_both_frames_are_augmented_identically():
    mirrors = 0
    for seed in range(20):
        source, driving = augment_pair(unguided(), AUGMENT, np.random.default_rng(seed)).frames
        assert np.array_equal(source, driving)
        assert not np.array_equal(source, FACE)
        mirrors += (
            np.corrcoef(source.ravel(), FACE.ravel())[0, 1]
            < np.corrcoef(source.ravel(), mirror_frame(FACE).ravel())[0, 1]
        )
    assert 4 <= mirrors <= 16


def test_nothing_changes_if_all_is_switched_off():
    pair = augment_pair(
        GuidedPair((FACE, FACE), (np.ones((10, 2), np.float32),) * 2), UNCHANGED, np.random.default_rng(0)
    )
    assert np.array_equal(pair.frames[0], FACE)
    assert_allclose(pair.guides[0], 1)


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
                GuidedPair((frame, frame), (points, points)), config, np.random.default_rng(seed)
            )
            y, x = np.nonzero(pair.frames[1][..., 0] > 127)
            assert_allclose(pair.guides[1][i], (x.mean(), y.mean()), atol=0.6)
    assert np.abs(pair.guides[1] - points).max() > 0.05


def test_a_mirrored_left_eye_is_a_right_eye():
    points = np.stack((np.arange(10), np.arange(10) + 20), axis=1).astype(np.float32)
    pair = mirror_pair(GuidedPair((FACE, FACE), (points, points)))
    assert np.array_equal(pair.frames[0], mirror_frame(FACE))
    for guide, other in enumerate(MIRRORED_GUIDES):
        assert pair.guides[0][guide].tolist() == [SIZE - 1 - points[other, 0], points[other, 1]]
    assert_allclose(mirror_pair(pair).guides[0], points)


def test_color_jitter_changes_the_brightness_and_not_the_geometry():
    config = UNCHANGED.model_copy(update={"color_jitter": 0.25})
    means = []
    for seed in range(20):
        frame = augment_pair(unguided(), config, np.random.default_rng(seed)).frames[0]
        assert np.corrcoef(frame.ravel(), FACE.ravel())[0, 1] > 0.85
        means.append(frame.mean())
    assert np.std(means) > 5
