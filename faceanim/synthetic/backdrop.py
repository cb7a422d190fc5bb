"""Backgrounds of the videos: procedural rooms, and textures of scikit-image (brick, gravel, grass: CC0)."""

import colorsys
from collections.abc import Callable

import cv2
import numpy as np

from faceanim.synthetic.cutouts import Image, f32

KINDS = ("wall", "bricks", "blinds", "shelf", "lights", "paper", "gravel", "curtain", "grass", "tiles")
"""Kinds of backgrounds."""


def draw_backdrop(kind: str, seed: int, width: int, height: int) -> Image:
    """Draw a still background.

    Args:
        kind: one of `KINDS`.
        seed: seed of the random generator; the same seed gives the same image.
        width: width of the image, in pixels.
        height: height of the image, in pixels.

    Returns:
        (height, width, 3), RGB in [0, 1].
    """
    rng = np.random.default_rng(seed)
    image = {
        "wall": _wall, "bricks": _texture("brick"), "blinds": _blinds, "shelf": _shelf, "lights": _lights,
        "paper": _paper, "gravel": _texture("gravel"), "curtain": _curtain, "grass": _texture("grass"),
        "tiles": _tiles,
    }[kind](rng, width, height)  # fmt: skip
    # Side light, and the blur of objects behind the plane of focus.
    left, right = rng.permutation([0.75, 1.1])
    light = f32(np.linspace(left, right, width))[None, :, None]
    return f32(np.clip(cv2.GaussianBlur(f32(image), (0, 0), 1.4) * light, 0, 1))


def _hue(rng: np.random.Generator, saturation: float, value: float) -> Image:
    return np.array(colorsys.hsv_to_rgb(rng.random(), 0.7 * saturation, value), np.float32)


def _noise(rng: np.random.Generator, width: int, height: int, sigma: float) -> Image:
    """Draw noise of mean 0 and unit standard deviation, with blobs about `sigma` pixels wide."""
    noise = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), sigma)
    result: Image = (noise / noise.std())[..., None]
    return result


def _wall(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw rough plaster with a framed picture."""
    image = _hue(rng, 0.3, 0.72) * (
        1 + 0.07 * _noise(rng, width, height, 22) + 0.03 * _noise(rng, width, height, 2)
    )
    x, y = int(width * rng.uniform(0.02, 0.12)), int(height * 0.08)
    cv2.rectangle(image, (x, y), (x + width // 5, y + height // 3), (0.25, 0.18, 0.12), 7)
    image[y + 5 : y + height // 3 - 4, x + 5 : x + width // 5 - 4] = _hue(rng, 0.5, 0.6)
    return image


def _texture(name: str) -> Callable[[np.random.Generator, int, int], Image]:
    def draw(rng: np.random.Generator, width: int, height: int) -> Image:
        from skimage import data

        gray = getattr(data, name)().astype(np.float32) / 255
        gray = cv2.resize(gray, (max(width, height), max(width, height)))[:height, :width]
        gray = 0.55 + 0.55 * (gray - gray.mean())
        result: Image = gray[..., None] * _hue(rng, 0.4, 1.0)
        return result

    return draw


def _blinds(rng: np.random.Generator, width: int, height: int) -> Image:
    rows = np.arange(height, dtype=np.float32)[:, None, None] % 26 / 26
    return np.broadcast_to(_hue(rng, 0.2, 0.9) * (0.5 + 0.45 * rows**0.7), (height, width, 3)).copy()


def _shelf(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw a bookshelf."""
    image = np.full((height, width, 3), (0.22, 0.15, 0.1), np.float32)
    board = height // 3
    for top in range(0, height, board):
        x = 3
        while x < width:
            thickness, length = int(rng.integers(9, 24)), int(board * rng.uniform(0.62, 0.88))
            color = _hue(rng, rng.uniform(0.2, 0.7), rng.uniform(0.3, 0.8))
            cv2.rectangle(
                image, (x, top + board - length), (x + thickness - 2, top + board - 9), color.tolist(), -1
            )
            x += thickness
    return image


def _lights(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw the lights of a street at night, out of focus."""
    image = np.full((height, width, 3), (0.08, 0.09, 0.16), np.float32)
    for _ in range(70):
        disc = np.zeros_like(image)
        center = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        cv2.circle(
            disc, center, int(rng.integers(6, 24)), _hue(rng, 0.6, rng.uniform(0.2, 0.55)).tolist(), -1
        )
        image += disc
    return np.clip(image, 0, 0.95)


def _paper(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw wallpaper with diamonds."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    pattern = np.cos((rows + columns) / 9) * np.cos((rows - columns) / 9) > 0.35
    return np.where(pattern[..., None], _hue(rng, 0.4, 0.75), _hue(rng, 0.35, 0.55)).astype(np.float32)


def _curtain(rng: np.random.Generator, width: int, height: int) -> Image:
    folds = np.cumsum(rng.uniform(0.08, 0.22, width)).astype(np.float32)
    shade = 0.62 + 0.3 * np.sin(folds) + 0.06 * np.sin(2.7 * folds)
    return np.broadcast_to(shade[None, :, None] * _hue(rng, 0.55, 0.8), (height, width, 3)).copy()


def _tiles(rng: np.random.Generator, width: int, height: int) -> Image:
    side = 38
    tone = rng.uniform(0.8, 1.1, (height // side + 1, width // side + 1)).astype(np.float32)
    image = np.kron(tone, np.ones((side, side), np.float32))[:height, :width, None] * _hue(rng, 0.3, 0.8)
    image[::side] = image[:, ::side] = image[1::side] = image[:, 1::side] = 0.35
    return np.asarray(image, np.float32)
