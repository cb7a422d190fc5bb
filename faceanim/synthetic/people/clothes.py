"""Cloth textures that tile, and collars as data for the renderer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceanim.synthetic.scenes.color import Image, decode_srgb, draw_color
from faceanim.synthetic.scenes.noise import blend, draw_periodic_noise

Collar = Literal["crew", "v_neck", "shirt", "jacket", "turtleneck", "wide"]
"""Kinds of collars. A shirt's is open or closed; a jacket has lapels over a shirt; `wide` shows shoulders."""


def paint_clothes(rng: np.random.Generator, size: int = 256) -> Image:
    """Paint a cloth: plain or knitted, stripes, checks, dots, denim, prints; with threads and soft creases.

    Args:
        rng: random generator.
        size: width and height in pixels, a power of two from 64 to 512.

    Returns:
        (size, size, 3), linear RGB in [0, 1], which tiles without seams.
    """
    makers: tuple[Callable[[np.random.Generator, int], Image], ...] = (
        _plain, _knit, _stripes, _checks, _dots, _denim, _ornament, _print,
    )  # fmt: skip
    maker = makers[int(rng.choice(len(makers), p=[0.42, 0.12, 0.12, 0.1, 0.05, 0.06, 0.08, 0.05]))]
    creases = 1 + rng.uniform(0.02, 0.1) * draw_periodic_noise(rng, size, 2.0)
    mottle = 1 + 0.03 * draw_periodic_noise(rng, size, 0.8)
    return np.clip(maker(rng, size) * (creases * mottle)[..., None], 0, 1).astype(np.float32)


def _color(rng: np.random.Generator, value: tuple[float, float] = (0.08, 0.95)) -> Image:
    """Draw the linear color of a cloth: dark and gray ones are the most frequent."""
    kind = rng.random()
    if kind < 0.3:
        return decode_srgb(draw_color(rng, (0.05, 0.3), (0.0, 0.4), 0.62))
    if kind < 0.5:
        return decode_srgb(draw_color(rng, (0.75, 0.97), (0.0, 0.15)))
    return decode_srgb(draw_color(rng, value, (0.0, 0.9), float(rng.random())))


def _grid(size: int) -> tuple[Image, Image]:
    """Compute the phase (0 to 2 pi over the tile) of columns (1, size) and rows (size, 1)."""
    phase = np.arange(size, dtype=np.float32) * np.float32(2 * np.pi / size)
    return phase[None], phase[:, None]


def _weave(rng: np.random.Generator, size: int, depth: float = 0.15) -> Image:
    """Draw threads of a plain weave, factors (size, size) about 1."""
    x, y = _grid(size)
    count = size // 4
    threads = np.sin(count * x) * np.sin(count * y)
    uneven = draw_periodic_noise(rng, size, 0.5)
    return np.asarray(1 + depth * (0.6 * threads + 0.4 * uneven), np.float32)


def _plain(rng: np.random.Generator, size: int) -> Image:
    return _weave(rng, size, rng.uniform(0.03, 0.2))[..., None] * _color(rng)


def _knit(rng: np.random.Generator, size: int) -> Image:
    """Draw columns of V-shaped stitches."""
    x, y = _grid(size)
    columns, rows = int(rng.choice([8, 16, 24])), int(rng.choice([16, 24, 32]))
    slant = np.abs(((columns * x / (2 * np.pi)) % 1) - 0.5)
    stitch = np.sin(rows * y + 2 * np.pi * 1.0 * slant)
    rib = np.cos(columns * x)
    shade = 0.72 + 0.16 * stitch - 0.14 * rib + 0.06 * draw_periodic_noise(rng, size, 0.5)
    return np.asarray(np.clip(shade, 0.1, 1.2), np.float32)[..., None] * _color(rng)


def _bands(rng: np.random.Generator, size: int) -> Image:
    """Draw a periodic profile of bands, (size,), weights in [0, 1]."""
    period = size // int(rng.choice([2, 4, 8, 16]))
    edges = np.sort(rng.integers(0, period + 1, 2 * int(rng.integers(1, 3))))
    profile = np.zeros(period, np.float32)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        profile[start : max(end, start + 1)] = rng.uniform(0.5, 1)
    return np.tile(profile, size // period)


def _stripes(rng: np.random.Generator, size: int) -> Image:
    bands = np.broadcast_to(_bands(rng, size)[:, None], (size, size))
    cloth = blend(_color(rng), _color(rng), bands if rng.random() < 0.5 else bands.T)
    return cloth * _weave(rng, size, 0.08)[..., None]


def _checks(rng: np.random.Generator, size: int) -> Image:
    """Draw bands of both directions that mix where they cross."""
    profile, ground, line = _bands(rng, size), _color(rng), _color(rng)
    mixed = 0.5 * (profile[None] + profile[:, None])
    return blend(ground, line, mixed) * _weave(rng, size, 0.08)[..., None]


def _dots(rng: np.random.Generator, size: int) -> Image:
    x, y = _grid(size)
    count = int(rng.choice([4, 8, 16]))
    wave = np.cos(count * x) * np.cos(count * y)
    weight = np.clip((wave - rng.uniform(0.4, 0.8)) * 8, 0, 1)
    return (
        blend(_color(rng), _color(rng), np.asarray(weight, np.float32)) * _weave(rng, size, 0.06)[..., None]
    )


def _denim(rng: np.random.Generator, size: int) -> Image:
    x, y = _grid(size)
    twill = np.sin(size // 4 * (x + y))
    fade = draw_periodic_noise(rng, size, 1.1) * 0.18 + 0.25 * draw_periodic_noise(rng, size, 0.5)
    blue = decode_srgb(draw_color(rng, (0.2, 0.6), (0.3, 0.7), rng.uniform(0.57, 0.63)))
    return np.asarray(np.clip(0.9 + 0.2 * twill + fade, 0.2, 2), np.float32)[..., None] * blue


def _ornament(rng: np.random.Generator, size: int) -> Image:
    """Draw a repeated print such as flowers or paisley: level lines of a sum of waves."""
    x, y = _grid(size)
    wave = np.zeros((size, size), np.float32)
    for _ in range(4):
        first, second = rng.integers(1, 9, 2) * rng.choice([-1, 1], 2)
        wave += np.cos(first * x + second * y + np.float32(rng.uniform(0, 6.28)))
    steps = np.clip(np.abs(wave) * rng.uniform(1.5, 3) % 2 - 0.5, 0, 1)
    return blend(_color(rng), _color(rng), np.asarray(steps, np.float32)) * _weave(rng, size, 0.06)[..., None]


def _print(rng: np.random.Generator, size: int) -> Image:
    """Draw a plain cloth with a mark such as a logo, away from the seams."""
    cloth = _plain(rng, size)
    color = _color(rng).astype(float).tolist()
    x, y = (int(value) for value in rng.uniform(0.35, 0.65, 2) * size)
    reach = size / 5
    for _ in range(int(rng.integers(1, 5))):
        axes = (int(rng.uniform(0.2, 1) * reach), int(rng.uniform(0.1, 0.6) * reach))
        center = (x + int(rng.normal(0, 0.03) * size), y + int(rng.normal(0, 0.03) * size))
        line = -1 if rng.random() < 0.5 else max(size // 64, 1)
        cv2.ellipse(cloth, center, axes, float(rng.uniform(0, 180)), 0, 360, color, line)
    return cloth


@dataclass(frozen=True)
class ClothesStyle:
    """Cut of the clothes around the neck.

    Positions are in metres relative to the neck pit (the hollow between the collarbones): x to the right of
    the image, y up. Cloth covers what lies below the neckline.
    """

    collar: Collar
    depth: float
    """Lowest point of the neckline below the neck pit; negative above it."""
    half_width: float
    """Distance from the middle at which the neckline reaches the side of the neck or the shoulder."""
    rise: float
    """Height of the neckline above the neck pit at `half_width` and beyond."""
    thickness: float
    """Thickness of the collar's rim, by which it stands off the skin."""
    tie: tuple[float, float, float] | None = None
    """Linear RGB of a tie below the neck pit."""
    shirt: tuple[float, float, float] | None = None
    """Linear RGB of a shirt under a jacket, seen between its lapels."""
    lapels: tuple[float, float] | None = None
    """Half width of the jacket's opening at the neck pit, and depth below the pit at which it closes."""

    def neckline(self, x: ArrayLike) -> NDArray[np.float32]:
        """Compute the height of the neckline at x, in metres from the neck pit; cloth lies below it."""
        place = np.minimum(np.abs(np.asarray(x, np.float32)) / self.half_width, 1)
        if self.collar in ("v_neck", "shirt", "jacket"):
            shape = place
        elif self.collar == "turtleneck":
            shape = place**4
        else:
            shape = 1 - np.sqrt(np.maximum(1 - place * place, 0))
        return np.asarray(-self.depth + (self.depth + self.rise) * shape, np.float32)

    def opening(self, x: ArrayLike) -> NDArray[np.float32]:
        """Compute the height of the lapels' edge at x; the shirt lies above it. +inf without a jacket."""
        if self.lapels is None:
            return np.full(np.shape(x), np.inf, np.float32)
        half, depth = self.lapels
        return np.asarray(np.abs(np.asarray(x, np.float32)) / half * depth - depth, np.float32)


def draw_clothes_style(rng: np.random.Generator) -> ClothesStyle:
    """Draw a cut of clothes; shirts and jackets, with or without tie, are frequent in talking-head clips."""
    collars: tuple[Collar, ...] = ("crew", "v_neck", "shirt", "jacket", "turtleneck", "wide")
    collar = collars[int(rng.choice(len(collars), p=[0.28, 0.12, 0.2, 0.26, 0.06, 0.08]))]
    if collar == "crew":
        return ClothesStyle(
            collar, rng.uniform(-0.01, 0.03), rng.uniform(0.07, 0.1), rng.uniform(0.03, 0.06), 0.004
        )
    if collar == "v_neck":
        return ClothesStyle(
            collar, rng.uniform(0.05, 0.14), rng.uniform(0.07, 0.1), rng.uniform(0.03, 0.06), 0.004
        )
    if collar == "turtleneck":
        return ClothesStyle(collar, rng.uniform(-0.08, -0.05), 0.08, rng.uniform(0.07, 0.1), 0.006)
    if collar == "wide":
        return ClothesStyle(
            collar, rng.uniform(0.03, 0.1), rng.uniform(0.13, 0.2), rng.uniform(0.0, 0.03), 0.002
        )
    tie = rng.random() < (0.2 if collar == "shirt" else 0.5)
    depth = rng.uniform(-0.02, -0.005) if tie else rng.uniform(0.0, 0.07)
    tie_color, shirt_color = (_triple(_color(rng)) for _ in range(2))
    if rng.random() < 0.6:
        shirt_color = _triple(decode_srgb(draw_color(rng, (0.8, 0.97), (0.0, 0.15), 0.6)))
    jacket = collar == "jacket"
    return ClothesStyle(
        collar, float(depth), rng.uniform(0.06, 0.075), rng.uniform(0.045, 0.07), 0.007,
        tie_color if tie else None,
        shirt_color if jacket else None,
        (rng.uniform(0.05, 0.09), rng.uniform(0.15, 0.35)) if jacket else None,
    )  # fmt: skip


def _triple(color: Image) -> tuple[float, float, float]:
    red, green, blue = color.astype(float).tolist()
    return red, green, blue
