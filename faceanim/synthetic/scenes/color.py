"""sRGB coding, and random colors as they occur in rooms and clothes."""

import colorsys
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Image = NDArray[np.float32]
"""(H, W) or (H, W, 3), linear in [0, 1] unless said otherwise."""
Pixels = NDArray[np.uint8]
"""(H, W, 3), sRGB-coded in [0, 255]."""


def encode_srgb(linear: ArrayLike) -> Image:
    """Code linear values in [0, 1] (others are clipped) by the sRGB curve, to [0, 1]."""
    x = np.clip(np.asarray(linear, np.float32), 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(x, np.float32(1 / 2.4)) - 0.055).astype(
        np.float32
    )


def decode_srgb(coded: ArrayLike) -> Image:
    """Decode sRGB-coded values in [0, 1] to linear values in [0, 1]."""
    y = np.asarray(coded, np.float32)
    return np.where(y <= 0.04045, y / 12.92, np.power((y + 0.055) / 1.055, np.float32(2.4))).astype(
        np.float32
    )


@lru_cache(maxsize=1)
def _decode_table() -> Image:
    return decode_srgb(np.arange(256, dtype=np.float32) / 255)


def decode_pixels(pixels: Pixels) -> Image:
    """Decode sRGB bytes to linear float32 in [0, 1], by a table."""
    result: Image = cv2.LUT(pixels, _decode_table())
    return result


def draw_hue(rng: np.random.Generator) -> float:
    """Draw a surface's hue: warm (0.04 to 0.14) in 45 %, blue (0.53 to 0.67) in 30 %, else any in [0, 1)."""
    kind = rng.random()
    if kind < 0.45:
        return float(rng.uniform(0.04, 0.14))
    return float(rng.uniform(0.53, 0.67) if kind < 0.75 else rng.random())


def draw_color(
    rng: np.random.Generator,
    value: tuple[float, float] = (0.1, 0.9),
    saturation: tuple[float, float] = (0.0, 0.6),
    hue: float | None = None,
) -> Image:
    """Draw a color, uniform in the sRGB-coded value and (to the power of 1.5) saturation of HSV.

    Args:
        rng: random generator.
        value: range of the largest coded channel, in [0, 1].
        saturation: range of the saturation, in [0, 1].
        hue: hue in [0, 1); by default that of a surface, see `draw_hue`.

    Returns:
        (3,), sRGB-coded in [0, 1].
    """
    low, high = saturation
    return np.array(
        colorsys.hsv_to_rgb(
            draw_hue(rng) if hue is None else hue % 1.0,
            low + (high - low) * rng.random() ** 1.5,
            rng.uniform(*value),
        ),
        np.float32,
    )


def to_byte(color: ArrayLike) -> tuple[int, int, int]:
    """Round a coded color in [0, 1] to bytes, as cv2's drawing functions need it."""
    red, green, blue = (255 * np.clip(np.asarray(color, np.float32), 0, 1) + 0.5).astype(int).tolist()
    return red, green, blue
