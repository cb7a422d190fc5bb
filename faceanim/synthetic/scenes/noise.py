"""Fractal noise, cut from a few periodic fields that are computed once per process."""

from functools import lru_cache

import cv2
import numpy as np

from faceanim.synthetic.scenes.color import Image

PERIOD = 512
"""Period of the fields, in pixels."""
SLOPES = (0.0, 0.5, 0.8, 1.1, 1.5, 2.0, 2.6)
"""Exponents s of the fields: their amplitude falls with frequency f as f**-s (natural images: about 1.1)."""
VARIANTS = 2
"""Fields of each slope. Offset, flips, rotation and zoom of each cut multiply them."""


@lru_cache(maxsize=len(SLOPES) * VARIANTS)
def _field(slope: float, variant: int) -> Image:
    """Synthesize a periodic field (PERIOD, PERIOD) of mean 0 and standard deviation 1."""
    rng = np.random.default_rng((401, int(10 * slope), variant))
    spectrum = np.fft.rfft2(rng.standard_normal((PERIOD, PERIOD)))
    rows, columns = np.fft.fftfreq(PERIOD)[:, None], np.fft.rfftfreq(PERIOD)[None]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = 1
    spectrum *= frequency**-slope
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (PERIOD, PERIOD))
    return np.asarray((field / field.std()), np.float32)


def draw_noise(
    rng: np.random.Generator,
    width: int,
    height: int,
    slope: float = 1.1,
    zoom: float = 1.0,
    stretch: float = 1.0,
    angle: float | None = None,
) -> Image:
    """Draw fractal noise of mean about 0 and standard deviation about 1.

    Args:
        rng: random generator.
        width: width, in pixels.
        height: height, in pixels.
        slope: exponent of the fall of the amplitude with frequency; the nearest of `SLOPES` is taken.
        zoom: output pixels per pixel of the field; above 1 enlarges the grain.
        stretch: elongation of the grain along the direction `angle`.
        angle: direction of the grain in radians, clockwise from the x axis; random by default.

    Returns:
        (height, width).
    """
    nearest = min(SLOPES, key=lambda candidate: abs(candidate - slope))
    field = _field(nearest, int(rng.integers(VARIANTS)))
    turn = float(rng.uniform(0, 2 * np.pi)) if angle is None else angle
    cos, sin = np.cos(turn), np.sin(turn)
    along = np.array([[cos, sin], [-sin, cos]]) / zoom
    along[0] /= stretch
    if rng.random() < 0.5:
        along[1] *= -1
    matrix = np.column_stack([along, rng.uniform(0, PERIOD, 2)])
    result: Image = cv2.warpAffine(
        field,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_WRAP,
    )
    return result


def draw_periodic_noise(rng: np.random.Generator, size: int, slope: float = 1.1) -> Image:
    """Draw noise that tiles with a period of `size` pixels, a divisor of `PERIOD`; mean 0, deviation about 1.

    Args:
        rng: random generator.
        size: width and height, in pixels.
        slope: exponent of the fall of the amplitude with frequency; the nearest of `SLOPES` is taken.

    Returns:
        (size, size).
    """
    nearest = min(SLOPES, key=lambda candidate: abs(candidate - slope))
    field = _field(nearest, int(rng.integers(VARIANTS)))
    field = cv2.resize(field, (size, size), interpolation=cv2.INTER_AREA) if size != PERIOD else field
    field = np.roll(field, tuple(rng.integers(0, size, 2)), (0, 1))
    if rng.random() < 0.5:
        field = field[:, ::-1]
    field = field.T if rng.random() < 0.5 else field
    return np.ascontiguousarray(field / field.std())


def blend(first: Image, second: Image, weight: Image) -> Image:
    """Mix two colors or images by a weight (H, W) in [0, 1], to (H, W, 3)."""
    result: Image = first + weight[..., None] * (second - first)
    return result
