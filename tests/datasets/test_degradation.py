import hashlib

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from skimage.data import astronaut
from skimage.metrics import peak_signal_noise_ratio

from faceanim.config import DegradeConfig
from faceanim.datasets.super_resolution import degrade_frame, downscale, encode_h264

FACE = np.ascontiguousarray(astronaut()[:128, 150:278])
HARMLESS = DegradeConfig(blur_sigma=0.0, kernels=("area",), noise=0.0, h264_prob=0.0, h264_crf=(23, 23))
HARSH = DegradeConfig(
    blur_sigma=2.0, kernels=("area", "bicubic", "bilinear"), noise=0.02, h264_prob=0.5, h264_crf=(20, 40)
)


def degrade(seed=0, factor=2, frame=FACE, config=HARMLESS, **changes):
    return degrade_frame(frame, factor, config.model_copy(update=changes), np.random.default_rng(seed))


def roughness(frame):
    return np.abs(np.diff(frame.astype(int), axis=1)).mean()


def blockiness(frame):
    """Compute the mean step across edges of blocks of 8 pixels, relative to that of all other steps."""
    steps = np.abs(np.diff(frame.astype(int), axis=1)).mean(axis=(0, 2))
    edges = np.arange(len(steps)) % 8 == 7
    return steps[edges].mean() / steps[~edges].mean()


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_shape_and_type(factor):
    for seed in range(4):
        out = degrade(seed, factor, config=HARSH)
        assert out.shape == (128 // factor, 128 // factor, 3)
        assert out.dtype == np.uint8


def test_nothing_is_lost_if_all_strengths_are_0():
    assert_array_equal(degrade(factor=1), FACE)
    means = FACE.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(degrade(factor=2) - means).max() <= 0.5


def test_the_generator_determines_every_byte():
    hashes = [
        hashlib.sha256(degrade(seed, config=HARSH).tobytes()).hexdigest() for seed in (*range(8), *range(8))
    ]
    assert hashes[:8] == hashes[8:]
    assert len(set(hashes)) == 8


def test_the_strengths_of_blur_and_noise_are_random():
    rough = [roughness(degrade(seed, factor=1, blur_sigma=2.0)) for seed in range(8)]
    assert max(rough) <= roughness(FACE)
    assert max(rough) > 1.3 * min(rough)
    gray = np.full_like(FACE, 128)
    levels = [degrade(seed, factor=1, frame=gray, noise=0.1).std() / 255 for seed in range(8)]
    assert max(levels) > 2 * min(levels)
    assert max(levels) < 0.1


def test_the_kernels_differ_and_none_shifts_the_image():
    images = [downscale(FACE.astype(np.float32), 4, kernel) for kernel in ("area", "bicubic", "bilinear")]
    for image in images[1:]:
        assert not np.array_equal(image, images[0])
        # A shift by half a pixel would reduce it further.
        assert peak_signal_noise_ratio(images[0], image, data_range=255) > 28
    results = {degrade(seed, kernels=("area", "bicubic")).tobytes() for seed in range(8)}
    assert len(results) == 2


def test_h264_loses_more_and_shows_blocks_at_higher_crf():
    values = [peak_signal_noise_ratio(FACE, encode_h264(FACE, crf)) for crf in (10, 23, 36, 48)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 37
    assert 20 < values[3] < 28
    assert blockiness(encode_h264(FACE, 44)) > 1.3 * blockiness(FACE)


def test_h264_keeps_the_brightness():
    for level in (16, 60, 128, 200):
        gray = np.full((64, 64, 3), level, np.uint8)
        assert np.abs(encode_h264(gray, 23).astype(int) - level).max() <= 2
    assert abs(encode_h264(FACE, 18).mean() - FACE.mean()) < 0.3


def test_a_fraction_of_the_frames_is_compressed():
    plain = degrade().tobytes()
    untouched = [degrade(seed, h264_prob=0.3).tobytes() == plain for seed in range(40)]
    assert 20 <= sum(untouched) <= 36
