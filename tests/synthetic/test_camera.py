"""Camera effects and sound."""

from dataclasses import replace

import numpy as np
import pytest

from faceanim.synthetic.scenes.camera import NO_CAMERA, Camera, apply_camera, draw_camera, expose
from faceanim.synthetic.scenes.color import Image, decode_pixels, decode_srgb, encode_srgb
from faceanim.synthetic.scenes.noise import draw_noise
from faceanim.synthetic.sound import SOUND_RATE, synthesize_voice


def picture(size: int = 96) -> Image:
    rng = np.random.default_rng(5)
    noise = np.stack([draw_noise(rng, size, size) for _ in range(3)], -1)
    return np.clip(0.25 + 0.1 * noise, 0, 1).astype(np.float32)


def photograph(settings: Camera, seed: int = 0, size: int = 96) -> Image:
    return apply_camera(picture(size), settings, np.random.default_rng(seed)).astype(np.float32)


def test_no_camera_only_codes_and_rounds() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        apply_camera(decode_pixels(pixels), NO_CAMERA, np.random.default_rng(0)), pixels
    )
    values = np.linspace(0, 1, 100, dtype=np.float32)
    np.testing.assert_allclose(decode_srgb(encode_srgb(values)), values, atol=1e-6)


@pytest.mark.parametrize("size", [(64, 64), (96, 72), (700, 660)])
def test_any_settings_work_at_any_size_and_repeat(size: tuple[int, int]) -> None:
    height, width = size
    image = np.ascontiguousarray(np.broadcast_to(np.array([0.3, 0.2, 0.1], np.float32), (height, width, 3)))
    before = image.copy()
    for seed in range(40 if height < 500 else 3):
        settings = expose(draw_camera(np.random.default_rng(seed)), image)
        frames = [apply_camera(image, settings, np.random.default_rng(9)) for _ in range(2)]
        assert frames[0].shape == (height, width, 3)
        assert frames[0].dtype == np.uint8
        np.testing.assert_array_equal(frames[0], frames[1])
    np.testing.assert_array_equal(image, before)


def test_exposure_reaches_the_level() -> None:
    for scale in (0.05, 1.0, 4.0):
        image = picture() * np.float32(scale)
        settings = expose(Camera(level=0.4, tone="filmic", contrast=0.2), image)
        middle = apply_camera(image, settings, np.random.default_rng(0))[24:72, 24:72]
        assert middle.mean() / 255 == pytest.approx(0.4, abs=0.05)
    assert expose(NO_CAMERA, picture()) == NO_CAMERA


def test_noise_differs_between_frames_and_has_the_given_strength() -> None:
    image = np.full((256, 256, 3), 0.2, np.float32)
    for grain in range(3):
        settings = Camera(noise=4.0, grain=grain)
        frames = [apply_camera(image, settings, np.random.default_rng(seed)) for seed in (0, 1)]
        luma = [frame @ np.array([0.2126, 0.7152, 0.0722], np.float32) for frame in frames]
        assert luma[0].std() == pytest.approx(4.0, rel=0.15)
        assert (luma[0] - luma[1]).std() > 4


def test_effects_do_as_they_say() -> None:
    plain = photograph(NO_CAMERA)

    def edges(frame: Image) -> float:
        return float(np.abs(np.diff(frame, axis=1)).mean())

    assert edges(photograph(Camera(blur=4))) < 0.8 * edges(plain)
    assert edges(photograph(Camera(downscale=2))) < edges(plain)
    assert edges(photograph(Camera(sharpening=1))) > 1.1 * edges(plain)
    assert edges(photograph(Camera(shake=(9, 0)), 1)) < edges(plain)
    assert np.ptp(photograph(Camera(saturation=0)), axis=-1).max() <= 1
    assert photograph(Camera(contrast=0.5)).std() > plain.std()
    assert photograph(Camera(black=0.1)).min() > 20
    dark = photograph(Camera(vignette=0.5))
    assert dark[0, 0].mean() < 0.8 * plain[0, 0].mean()
    np.testing.assert_allclose(dark[48, 48], plain[48, 48], atol=1)
    warm = photograph(Camera(white_balance=(1.3, 1.0, 0.8))) - plain
    assert warm[..., 0].mean() > 5
    assert warm[..., 2].mean() < -5
    coded = [np.abs(photograph(Camera(quality=quality)) - plain).mean() for quality in (95, 60, 20)]
    assert 0 < coded[0] < coded[1] < coded[2]
    shifted = photograph(replace(NO_CAMERA, aberration=6.0))
    np.testing.assert_array_equal(shifted[..., 1], plain[..., 1])
    assert np.abs(shifted[..., 0] - plain[..., 0]).mean() > 0.2


def test_voice_follows_the_mouth() -> None:
    opening = np.r_[np.zeros(25), np.ones(25)]
    sound = synthesize_voice(opening, np.zeros(50), 25, 3)
    assert sound.shape == (2 * SOUND_RATE,)
    assert sound.dtype == np.float32
    assert np.abs(sound).max() <= 1
    assert np.abs(sound[: SOUND_RATE // 2]).max() == 0
    assert sound[3 * SOUND_RATE // 2 :].std() > 0.02
    np.testing.assert_array_equal(sound, synthesize_voice(opening, np.zeros(50), 25, 3))
