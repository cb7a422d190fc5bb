"""Effects of a camera and of a video's coding on a rendered picture.

Strengths follow talking-head clips from the web. Face crops (1.7 times the Viola-Jones box, at
128x128) of 51 clips have these percentiles, in levels of 0 to 255 where a level is measured:

| percentile | 5 | 25 | 50 | 75 | 95 |
|---|---|---|---|---|---|
| mean luma | 52 | 79 | 98 | 127 | 150 |
| standard deviation of luma | 34 | 41 | 48 | 57 | 68 |
| 2nd percentile of luma | 5 | 13 | 18 | 23 | 41 |
| 98th percentile of luma | 137 | 168 | 185 | 220 | 251 |
| mean Cb | -17 | -8 | -5 | -1 | 10 |
| mean Cr | 1 | 7 | 10 | 13 | 32 |
| saturation (HSV) | 0.19 | 0.29 | 0.35 | 0.42 | 0.64 |
| luma noise in the flattest quarter | 0.14 | 0.20 | 0.26 | 0.35 | 0.91 |
| noise of chroma there | 0.05 | 0.10 | 0.14 | 0.18 | 0.21 |
| luma noise between successive frames | 0.11 | 0.22 | 0.35 | 0.68 | 1.61 |
| sharpness | 0.86 | 0.94 | 0.99 | 1.06 | 1.21 |

Noise is Immerkaer's estimate. Sharpness is the deviation of what a Gaussian of 1 pixel removes over that of
the band between Gaussians of 1 and 2 pixels; at 64x64 it is 0.97 to 1.30, at 256x256 0.69 to 1.18. Coded luma
weighted to the middle is 0.42 on average, with a deviation of 0.09. Coding removes most of the noise in flat
parts, so noise is drawn stronger than these figures.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from faceanim.synthetic.scenes.color import Image, Pixels, encode_srgb

REFERENCE = 256
"""Size of the picture (its smaller side, in pixels) to which lengths and noise levels of `Camera` refer."""
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Luminance of linear sRGB primaries."""
WHITE = 4.0
"""Linear value at which the tone table ends."""
TABLE = 4096
"""Entries of the tone table, evenly spaced in the square root of the linear value."""
BANK = 640
"""Size of the precomputed noise images, in pixels."""
GRAINS = ("white", "demosaiced", "blotchy")
"""Kinds of noise: independent pixels; demosaiced; strongly denoised with colored blotches."""

Tone = Literal["clip", "knee", "filmic"]
"""Highlight response: clipped at 1, compressed above 0.7 (video knee), or compressed throughout."""


@dataclass(frozen=True)
class Camera:
    """Settings of a camera for one take. Lengths are in pixels of a picture of `REFERENCE` pixels."""

    gain: float = 1.0
    """Factor of the linear image."""
    level: float = 0.0
    """Mean coded luma that `expose` aims at, in [0, 1]; 0 keeps the gain."""
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors of linear red, green, blue."""
    saturation: float = 1.0
    """Factor of the distance from gray."""
    tone: Tone = "clip"
    contrast: float = 0.0
    """Strength of the S-shaped curve, in [-0.5, 1]; negative flattens."""
    black: float = 0.0
    """Coded value of black, in [-0.1, 0.2]."""
    peak: float = 1.0
    """Coded value of white, in [0.7, 1.1]."""
    blur: float = 0.0
    """Standard deviation of the lens blur."""
    line_blur: float = 0.0
    """Standard deviation of the additional vertical blur of deinterlaced video."""
    shake: tuple[float, float] = (0.0, 0.0)
    """Direction and length of motion blur by shake (x, y); its amount varies per frame."""
    vignette: float = 0.0
    """Loss of light in the corners, in [0, 0.6]."""
    aberration: float = 0.0
    """Displacement between red and blue in the corners."""
    noise: float = 0.0
    """Deviation of the noise at middle gray, in coded levels of 0 to 255."""
    grain: int = 0
    """Index in `GRAINS`."""
    photon_share: float = 0.9
    """Share of photon noise in the noise's variance at middle gray; the rest is read noise."""
    sharpening: float = 0.0
    """Strength of unsharp masking."""
    halo: float = 1.0
    """Standard deviation of the mask's blur."""
    downscale: float = 1.0
    """Factor by which the clip was once smaller, at least 1."""
    quality: int = 100
    """Quality of the JPEG coding; 100 for none."""
    subsampled: bool = True
    """Half chroma resolution (4:2:0) in the coding."""


NO_CAMERA = Camera()
"""Camera that only codes by sRGB and rounds."""


def draw_camera(rng: np.random.Generator) -> Camera:
    """Draw the settings of a take, distributed as in clips from the web (see the module)."""

    def once(probability: float, value: float) -> float:
        return value if rng.random() < probability else 0.0

    warmth = float(np.clip(0.08 * rng.standard_t(4), -0.3, 0.3))
    tint = float(np.clip(0.03 * rng.standard_t(4), -0.12, 0.12))
    shake = once(0.06, float(rng.uniform(0.8, 3.0)))
    direction = rng.uniform(0, np.pi)
    old = rng.random() < 0.12
    soft = 0.9 if rng.random() < 0.06 else 0.0
    return Camera(
        level=float(np.clip(rng.normal(0.43, 0.09), 0.22, 0.66)),
        white_balance=(
            float(np.exp(warmth - tint / 2)),
            float(np.exp(tint)),
            float(np.exp(-warmth - tint / 2)),
        ),
        saturation=float(rng.uniform(0, 0.3) if rng.random() < 0.03 else np.exp(rng.normal(0.08, 0.25))),
        tone=("clip", "knee", "filmic")[int(rng.choice(3, p=(0.25, 0.35, 0.4)))],
        contrast=float(np.clip(rng.normal(0.25, 0.2), -0.3, 0.8)),
        black=float(np.clip(rng.normal(0.015, 0.025), -0.04, 0.1)),
        peak=float(np.clip(rng.normal(0.98, 0.05), 0.8, 1.05)),
        blur=float(soft + np.exp(rng.normal(np.log(0.42), 0.4))),
        line_blur=once(0.06, float(rng.uniform(0.4, 0.8))),
        shake=(float(shake * np.cos(direction)), float(shake * np.sin(direction))),
        vignette=once(0.4, float(rng.uniform(0.05, 0.4))),
        aberration=once(0.25, float(rng.uniform(0.1, 0.6))),
        noise=float(min(np.exp(rng.normal(np.log(0.5), 0.75)), 6.0)),
        grain=int(rng.choice(3, p=(0.2, 0.5, 0.3))),
        photon_share=float(rng.uniform(0.85, 0.99)),
        sharpening=once(0.7, float(rng.gamma(2.0, 0.2))),
        halo=float(rng.uniform(0.7, 1.6)),
        downscale=float(rng.uniform(1.4, 2.2)) if old else 1.0,
        quality=int(np.clip(96 - rng.gamma(2.0, 9.0), 25, 95)) if rng.random() < 0.92 else 100,
        subsampled=bool(rng.random() < 0.85),
    )


def expose(camera: Camera, linear_image: Image) -> Camera:
    """Set the gain so that a picture's mean coded luma, weighted to its middle, is the camera's level.

    Args:
        camera: settings; those with a level of 0 return unchanged.
        linear_image: (H, W, 3), linear RGB; one picture of the take.

    Returns:
        The settings with the gain, in [1/16, 16] times what it was.
    """
    if camera.level <= 0:
        return camera
    small = cv2.resize(linear_image, (24, 24), interpolation=cv2.INTER_AREA)
    luminance = small @ (LUMA * np.array(camera.white_balance, np.float32)) * camera.gain
    ramp = np.hanning(26)[1:-1].astype(np.float32)
    weights = np.outer(ramp, ramp)
    weights /= weights.sum()
    table = _tone_table(camera.tone, camera.contrast, camera.black, camera.peak)
    low, high = -4.0, 4.0
    for _ in range(12):
        middle = (low + high) / 2
        level = float((weights * _look_up(table, luminance * 2**middle)).sum())
        low, high = (middle, high) if level < camera.level else (low, middle)
    return replace(camera, gain=float(camera.gain * 2 ** ((low + high) / 2)))


def apply_camera(linear_image: Image, settings: Camera, rng: np.random.Generator) -> Pixels:
    """Photograph a picture: lens, sensor, tone curve, sharpening, scaling and coding.

    Args:
        linear_image: (H, W, 3), linear RGB, 0 for black and 1 for diffuse white; may exceed 1. Not changed.
        settings: settings of the take, see `draw_camera` and `expose`.
        rng: random generator for noise and shake of this frame.

    Returns:
        (H, W, 3), sRGB-coded RGB.
    """
    height, width = linear_image.shape[:2]
    scale = min(height, width) / REFERENCE
    image = _apply_lens(linear_image, settings, scale, rng)
    if settings.downscale > 1:
        small = (max(round(width / settings.downscale), 8), max(round(height / settings.downscale), 8))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    if settings.noise > 0:
        image = _add_noise(image, settings, scale, rng)
    image = _develop(image, settings)
    if settings.sharpening > 0:
        blurred = cv2.GaussianBlur(image, (0, 0), max(settings.halo * scale, 0.45))
        image = cv2.addWeighted(image, 1 + settings.sharpening, blurred, -settings.sharpening, 0)
    if settings.quality >= 100 and settings.downscale <= 1:
        return _to_bytes(image)
    return _code(_to_bytes(image), settings, (width, height))


def _apply_lens(image: Image, settings: Camera, scale: float, rng: np.random.Generator) -> Image:
    """Blur by lens, shake and deinterlacing, displace red against blue, darken the corners."""
    height, width = image.shape[:2]
    blur = settings.blur * scale
    vertical = float(np.hypot(blur, settings.line_blur * scale))
    if vertical > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), max(blur, 0.05), sigmaY=vertical)
    length = float(np.hypot(*settings.shake)) * scale * rng.uniform(0, 1) if any(settings.shake) else 0.0
    if length > 0.5:
        image = cv2.filter2D(image, -1, _line_kernel(settings.shake, length))
    if settings.aberration * scale > 0.05:
        image = _separate_colors(image, settings.aberration * scale)
    if settings.vignette > 0:
        image = image * _vignette(width, height, round(settings.vignette, 3))[..., None]
    return image


def _line_kernel(direction: tuple[float, float], length: float) -> Image:
    """Draw a line of a length in pixels as a kernel of sum 1."""
    x, y = np.array(direction) / np.hypot(*direction)
    reach = int(np.ceil(length / 2)) + 1
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    along, across = np.abs(columns * x + rows * y), np.abs(rows * x - columns * y)
    kernel = np.clip(length / 2 + 0.5 - along, 0, 1) * np.clip(1 - across, 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _separate_colors(image: Image, shift: float) -> Image:
    """Enlarge red and shrink blue about the center, by `shift` / 2 pixels each in the corners."""
    height, width = image.shape[:2]
    channels = list(cv2.split(image))
    for index, sign in ((0, -1.0), (2, 1.0)):
        zoom = 1 + sign * shift / np.hypot(width, height)
        matrix = np.array([[zoom, 0, (1 - zoom) * (width - 1) / 2], [0, zoom, (1 - zoom) * (height - 1) / 2]])
        channels[index] = cv2.warpAffine(
            channels[index], matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
    result: Image = cv2.merge(channels)
    return result


@lru_cache(maxsize=64)
def _vignette(width: int, height: int, strength: float) -> Image:
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None] ** 2
    return np.asarray(1 - strength * ((rows + columns) / 2) ** 1.3, np.float32)


@lru_cache(maxsize=len(GRAINS))
def _grain(kind: int) -> Image:
    """Synthesize noise (BANK, BANK, 3) of unit deviation in luma, by kind in `GRAINS`."""
    rng = np.random.default_rng((77, kind))
    luma, chroma = rng.standard_normal((BANK, BANK)), rng.standard_normal((BANK, BANK, 3))
    if kind == 0:
        return np.asarray(chroma / (chroma @ LUMA).std(), np.float32)
    luma = cv2.GaussianBlur(luma, (0, 0), (0, 0.55, 0.9)[kind], borderType=cv2.BORDER_REFLECT)
    chroma = cv2.GaussianBlur(chroma, (0, 0), (0, 1.1, 2.4)[kind], borderType=cv2.BORDER_REFLECT)
    noise = luma[..., None] / luma.std() + (0, 0.7, 0.6)[kind] * chroma / chroma.std()
    return np.asarray(noise / (noise @ LUMA).std(), np.float32)


def _add_noise(image: Image, settings: Camera, scale: float, rng: np.random.Generator) -> Image:
    """Add photon noise, whose variance is the light, and read noise, to the sensor's signal.

    Pictures smaller than the reference are averages of several sensor pixels and have less noise.
    """
    height, width = image.shape[:2]
    bank = _grain(settings.grain)
    if height > BANK or width > BANK:
        bank = np.tile(bank, (-(-height // BANK) + 1, -(-width // BANK) + 1, 1))
    top = int(rng.integers(bank.shape[0] - height + 1))
    left = int(rng.integers(bank.shape[1] - width + 1))
    grain = bank[top : top + height, left : left + width]
    if rng.random() < 0.5:
        grain = grain[:, ::-1]
    # The slope of the sRGB curve is 1.12 at a gray of 0.2.
    sigma = settings.noise / 255 / 1.12 * min(scale, 1.0) ** 0.7 / settings.gain
    gray = 0.2 / settings.gain
    photons = sigma**2 * settings.photon_share / gray
    read = sigma**2 * (1 - settings.photon_share)
    amplitude = cv2.sqrt(cv2.max(image * np.float32(photons) + np.float32(read), 0))
    result: Image = cv2.add(image, cv2.multiply(amplitude, np.ascontiguousarray(grain)))
    return result


def _develop(image: Image, settings: Camera) -> Image:
    """Apply gain, white balance, saturation and tone curve; returns coded values."""
    balance = settings.gain * np.array(settings.white_balance, np.float32)
    gray = np.outer(np.ones(3, np.float32), LUMA)
    matrix = gray + settings.saturation * (np.eye(3, dtype=np.float32) - gray)
    matrix = matrix * balance
    if not np.array_equal(matrix, np.eye(3, dtype=np.float32)):
        image = cv2.transform(image, matrix)
    if settings.tone == "clip" and settings.contrast == 0 and settings.black == 0 and settings.peak == 1:
        return encode_srgb(image)
    return _look_up(_tone_table(settings.tone, settings.contrast, settings.black, settings.peak), image)


def _look_up(table: Image, image: Image) -> Image:
    index = cv2.sqrt(cv2.max(image, 0.0)) * np.float32((TABLE - 1) / WHITE**0.5)
    result: Image = table[np.minimum(index, TABLE - 1).astype(np.uint16)]
    return result


@lru_cache(maxsize=256)
def _tone_table(tone: Tone, contrast: float, black: float, peak: float) -> Image:
    """Tabulate coded values over the square root of the linear value in [0, WHITE]."""
    x = np.linspace(0, WHITE**0.5, TABLE) ** 2
    if tone == "knee":
        x = np.where(x > 0.7, 0.7 + 0.3 * (1 - np.exp(-(x - 0.7) / 0.6)), x)
    elif tone == "filmic":
        x = 1.3 * x * (1 + 1.3 * x / WHITE**2) / (1 + 0.55 * x)
        x = np.where(x > 0.8, 0.8 + 0.2 * (1 - np.exp(-(x - 0.8) / 0.2)), x)
    y = encode_srgb(x).astype(np.float64)
    # A smooth step about the level of skin; negative strengths flatten it.
    y = y + contrast * (y * y * (3 - 2 * y) - y)
    return np.asarray(black + (peak - black) * y, np.float32)


def _to_bytes(image: Image) -> Pixels:
    result: Pixels = cv2.convertScaleAbs(cv2.max(image, 0.0), alpha=255)
    return result


def _code(pixels: Pixels, settings: Camera, size: tuple[int, int]) -> Pixels:
    """Code and decode as JPEG, then enlarge to a size (width, height)."""
    if settings.quality < 100:
        # Blocks of smaller pictures hold more detail each; the frames that they stand for were coded larger.
        quality = round(100 - (100 - settings.quality) * float(np.clip(min(size) / REFERENCE, 0.35, 1)))
        factor = (
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
            if settings.subsampled
            else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        )
        options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
        coded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)[1]
        pixels = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB), np.uint8)
    if pixels.shape[1::-1] != size:
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    return pixels
