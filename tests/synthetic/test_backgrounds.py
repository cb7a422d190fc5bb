"""Backgrounds, their motion, and cloths."""

import numpy as np
import pytest

from faceanim.synthetic.people.clothes import draw_clothes_style, paint_clothes
from faceanim.synthetic.scenes.backgrounds import KINDS, background_motion, draw_background, sample_background


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_is_a_reproducible_picture(kind: str) -> None:
    pictures = [draw_background(np.random.default_rng(seed), 120, 90, kind) for seed in (3, 3, 4)]
    assert pictures[0].shape == (90, 120, 3)
    assert pictures[0].dtype == np.float32
    assert all(
        np.isfinite(picture).all() and 0 <= picture.min() <= picture.max() <= 1 for picture in pictures
    )
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_backgrounds_differ_and_have_the_spectrum_of_photographs() -> None:
    rng = np.random.default_rng(0)
    pictures = [draw_background(rng, 128, 128) @ np.array([0.2, 0.7, 0.1], np.float32) for _ in range(40)]
    assert np.std([picture.mean() for picture in pictures]) > 0.1
    window = np.outer(np.hanning(128), np.hanning(128))
    power = np.mean([np.abs(np.fft.fft2((p - p.mean()) * window)) ** 2 for p in pictures], 0)
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128)[None])
    bands = [power[(frequency > low) & (frequency <= 2 * low)].mean() for low in (1 / 32, 1 / 16, 1 / 8)]
    slope = np.polyfit([0, 1, 2], np.log2(bands), 1)[0] / 2
    assert -2.6 < slope < -0.8  # amplitude over frequency; blur makes it steeper than -1


def test_motion_stays_in_the_background_and_rests_in_most_takes() -> None:
    rng = np.random.default_rng(1)
    takes = [background_motion(rng, 30, 160, 120) for _ in range(200)]
    still = [np.array_equal(take, np.tile(np.eye(2, 3), (30, 1, 1))) for take in takes]
    assert 0.5 < np.mean(still) < 0.7
    corners = np.array([[0, 0, 1], [159, 0, 1], [159, 119, 1], [0, 119, 1]])
    for take in takes:
        assert take.shape == (30, 2, 3)
        reached = np.einsum("tij,cj->tci", take, corners)
        assert reached.min() > -0.01
        assert (reached.max((0, 1)) < [159.01, 119.01]).all()
        assert np.linalg.det(take[:, :, :2]).min() > 0.5


def test_sampling_follows_the_affine_map() -> None:
    ramp = np.repeat(np.mgrid[:90, :120][1][..., None], 3, -1).astype(np.float32) / np.float32(120)
    shifted = sample_background(ramp, np.array([[1, 0, 2.5], [0, 1, 0]], np.float32), 100, 90)
    np.testing.assert_allclose(shifted[:, :100], ramp[:, :100] + 2.5 / 120, atol=2e-4)
    noise = draw_background(np.random.default_rng(0), 120, 90)
    np.testing.assert_array_equal(sample_background(noise, np.eye(2, 3, dtype=np.float32), 120, 90), noise)


@pytest.mark.parametrize("size", [64, 256])
def test_cloth_tiles_without_seams(size: int) -> None:
    for seed in range(12):
        cloth = paint_clothes(np.random.default_rng(seed), size)
        assert cloth.shape == (size, size, 3)
        assert cloth.dtype == np.float32
        assert 0 <= cloth.min() <= cloth.max() <= 1
        # The step across the seam is like the steps between neighbors elsewhere.
        for axis in (0, 1):
            steps = np.abs(np.diff(cloth, axis=axis)).mean((1 - axis, 2))
            seam = np.abs(np.take(cloth, 0, axis) - np.take(cloth, -1, axis)).mean()
            assert seam <= 1.3 * steps.max() + 0.01


def test_necklines_rise_to_the_sides() -> None:
    rng = np.random.default_rng(2)
    styles = [draw_clothes_style(rng) for _ in range(100)]
    assert len({style.collar for style in styles}) == 6
    for style in styles:
        line = style.neckline(np.linspace(-0.3, 0.3, 61))
        assert line.dtype == np.float32
        assert line[30] == pytest.approx(-style.depth)
        assert (np.diff(line[30:]) >= 0).all()
        np.testing.assert_allclose(line, line[::-1], atol=1e-6)
        assert line[-1] == pytest.approx(style.rise, abs=1e-6)
        assert (style.lapels is None) == bool(np.isinf(style.opening(np.zeros(3))).all())
