"""Backgrounds of talking heads, drawn at random, and the motion of the camera before them.

Shares, blur and brightness follow the upper corners (26x44 pixels) of face crops at 128x128 of 51 clips from
the web. In levels of 0 to 255, beside backgrounds of this module after the camera, exposed for a face of
reflectance 0.3:

| percentile | clips: 5 | 25 | 50 | 75 | 95 | drawn: 5 | 25 | 50 | 75 | 95 |
|---|---|---|---|---|---|---|---|---|---|---|
| mean luma | 16 | 51 | 95 | 155 | 202 | 28 | 62 | 90 | 124 | 170 |
| standard deviation | 2 | 10 | 21 | 36 | 58 | 1 | 6 | 15 | 31 | 51 |
| saturation (HSV) | 0.05 | 0.12 | 0.31 | 0.44 | 0.84 | 0.04 | 0.15 | 0.26 | 0.44 | 0.71 |
| gradient | 0.7 | 2.7 | 6.9 | 11.7 | 22.4 | 0.4 | 1.2 | 5.1 | 10.9 | 23.6 |
| deviation above a Gaussian of 1 pixel | 0.4 | 1.3 | 3.6 | 5.4 | 9.9 | 0.3 | 0.7 | 2.1 | 5.3 | 12.7 |

The clips' corners also contain some hair.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.scenes import places, rooms, surfaces
from faceanim.synthetic.scenes.color import Image, decode_srgb, draw_color
from faceanim.synthetic.scenes.noise import draw_noise

Draw = Callable[[np.random.Generator, int, int], Image]


@dataclass(frozen=True)
class Kind:
    """A kind of background."""

    draw: Draw
    share: float
    """Relative frequency."""
    blur: float
    """Median deviation of the depth blur, in thousandths of the picture's larger side."""
    light: float = 1.0
    """Strength of uneven light, in [0, 1]; kinds that emit light or have their own take less."""


KINDS: dict[str, Kind] = {
    "plain": Kind(surfaces.draw_plain, 0.14, 3),
    "gradient": Kind(surfaces.draw_gradient, 0.05, 3, 0.3),
    "muslin": Kind(surfaces.draw_muslin, 0.04, 5),
    "photo_texture": Kind(surfaces.draw_photo_texture, 0.03, 3),
    "wood": Kind(surfaces.draw_wood, 0.03, 3),
    "marble": Kind(surfaces.draw_marble, 0.02, 3),
    "wallpaper": Kind(surfaces.draw_wallpaper, 0.03, 3),
    "curtain": Kind(surfaces.draw_curtain, 0.05, 3),
    "blinds": Kind(surfaces.draw_blinds, 0.03, 3, 0.6),
    "foliage": Kind(surfaces.draw_foliage, 0.06, 8, 0.6),
    "clutter": Kind(surfaces.draw_clutter, 0.09, 9, 0.6),
    "bokeh": Kind(surfaces.draw_bokeh, 0.03, 2, 0.3),
    "shelf": Kind(places.draw_shelf, 0.07, 5),
    "window": Kind(places.draw_window, 0.07, 5, 0.4),
    "outdoors": Kind(places.draw_outdoors, 0.03, 6, 0.3),
    "city": Kind(places.draw_city, 0.03, 6, 0.2),
    "studio": Kind(places.draw_studio, 0.13, 6, 0.4),
    "screen": Kind(places.draw_screen, 0.03, 4, 0.2),
    "banner": Kind(places.draw_banner, 0.04, 3),
    "room": Kind(rooms.draw_room, 0.16, 5, 0.5),
}
"""Kinds by name; shares need not add up to 1."""

SUPERSAMPLED = 256
"""Backgrounds with both sides below this, in pixels, are drawn at twice the size and reduced."""
STILL_SHARE = 0.6
"""Share of takes whose background does not move."""


def draw_background(rng: np.random.Generator, width: int, height: int, kind: str | None = None) -> Image:
    """Draw a background with light and depth blur.

    Args:
        rng: random generator.
        width: width, in pixels.
        height: height, in pixels.
        kind: one of `KINDS`; drawn by their shares by default.

    Returns:
        (height, width, 3), linear RGB in [0, 1].
    """
    if kind is None:
        shares = np.array([entry.share for entry in KINDS.values()])
        kind = list(KINDS)[int(rng.choice(len(KINDS), p=shares / shares.sum()))]
    entry = KINDS[kind]
    # Objects are drawn without antialiasing, which shows in small pictures.
    finer = 2 if max(width, height) < SUPERSAMPLED else 1
    image = entry.draw(rng, finer * width, finer * height)
    if finer > 1:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    image *= (1 + rng.uniform(0, 0.05) * draw_noise(rng, width, height, 1.1))[..., None]
    image = _blur(rng, image, _draw_blur(rng, entry) * max(width, height))
    brightness = np.float32(np.exp(rng.normal(0.55, 0.5)))
    light = brightness * _draw_light(rng, width, height, entry.light)
    return np.asarray(np.clip(image * light, 0, 1), np.float32)


def _draw_blur(rng: np.random.Generator, kind: Kind) -> float:
    """Draw the deviation of the depth blur, as a share of the picture's larger side.

    Kinds that are usually far out of focus (and look drawn when sharp) keep a third of their median.
    """
    least = kind.blur / 3 if kind.blur >= 8 else 0.0
    blur = 0.0 if rng.random() < 0.05 else kind.blur * float(np.exp(rng.normal(0, 0.6)))
    return min(max(blur, least), 50) / 1000


def _blur(rng: np.random.Generator, image: Image, sigma: float) -> Image:
    """Blur by a Gaussian or, as lenses do, by a disc of the same deviation; if strong, at low resolution."""
    if sigma < 0.4:
        return image
    height, width = image.shape[:2]
    factor = max(2 ** int(np.log2(max(sigma, 1) / 1.5)), 1)
    if factor > 1:
        small = (-(-width // factor), -(-height // factor))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    if sigma > 1 and rng.random() < 0.6:
        image = cv2.filter2D(image, -1, _disc(round(2 * sigma / factor, 1)), borderType=cv2.BORDER_REFLECT)
    else:
        image = cv2.GaussianBlur(image, (0, 0), sigma / factor)
    if factor > 1:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    return image


@lru_cache(maxsize=128)
def _disc(radius: float) -> Image:
    """Draw a disc of a radius in pixels as a kernel of sum 1; its deviation along x is half the radius."""
    reach = int(np.ceil(radius))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1)
    return np.asarray(disc / disc.sum(), np.float32)


def _draw_light(rng: np.random.Generator, width: int, height: int, strength: float) -> Image:
    """Draw uneven light: a tinted slope from one side, a pool, soft shadows; (H, W, 3), about 1."""
    coarse = 48  # light is smooth
    columns = np.linspace(-1, 1, coarse, dtype=np.float32)[None]
    rows = np.linspace(-1, 1, coarse, dtype=np.float32)[:, None]
    turn, slope = rng.uniform(0, 2 * np.pi), strength * abs(rng.normal(0, 0.45))
    light = np.exp2(slope * (columns * np.float32(np.cos(turn)) + rows * np.float32(0.7 * np.sin(turn))))
    if rng.random() < 0.5 * strength:
        x, y = rng.uniform(-1, 1), rng.uniform(-1, 0.6)
        pool = np.exp(-((columns - np.float32(x)) ** 2 + (rows - np.float32(y)) ** 2) / rng.uniform(0.3, 2))
        light = light * (0.55 + rng.uniform(0.4, 1.2) * pool)
    shadows = 1 + 0.1 * strength * draw_noise(rng, coarse, coarse, 2.0, 0.3)
    light = np.clip(light * shadows, 0.05, 3)
    tint = decode_srgb(draw_color(rng, (0.9, 1.0), (0.0, 0.25)))
    tinted = light[..., None] * (1 + strength * 0.5 * (tint / tint.mean() - 1))
    result: Image = cv2.resize(np.asarray(tinted, np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return result


def background_motion(rng: np.random.Generator, frames: int, width: int, height: int) -> NDArray[np.float32]:
    """Draw the motion of the camera before a background of the same size as the picture.

    The background stands still in `STILL_SHARE` of the takes. Otherwise the camera drifts, shakes in a hand,
    pans or zooms a little, with an enlargement that keeps the picture within the background.

    Args:
        rng: random generator.
        frames: number of frames T.
        width: width of picture and background, in pixels.
        height: height of both, in pixels.

    Returns:
        (T, 2, 3), affine maps from pixel positions (x, y, 1) of the picture to those of the background.
    """
    still = np.tile(np.eye(2, 3, dtype=np.float32), (frames, 1, 1))
    if rng.random() < STILL_SHARE:
        return still
    kind = str(rng.choice(["drift", "handheld", "pan", "zoom"], p=[0.3, 0.4, 0.15, 0.15]))
    time = np.linspace(0, 1, frames)
    shift = np.zeros((frames, 2))
    turn, zoom = np.zeros(frames), np.zeros(frames)
    if kind in ("drift", "handheld"):
        amount = (0.012 if kind == "drift" else 0.006) * np.exp(rng.normal(0, 0.5))
        shift += amount * _smooth_walk(rng, frames, 40 if kind == "drift" else 12, 2)
        turn += 0.5 * amount * _smooth_walk(rng, frames, 30, 1)[:, 0]
    if kind == "handheld":
        shift += 0.0012 * np.exp(rng.normal(0, 0.5)) * _smooth_walk(rng, frames, 2, 2)
    if kind == "pan":
        way = rng.normal(0, 1, 2) * (0.06, 0.02)
        shift += way * (time[:, None] ** 2 * (3 - 2 * time[:, None]) - 0.5)
    if kind == "zoom":
        zoom += rng.normal(0, 0.05) * (time - 0.5)
    return _to_affine(shift, turn, zoom, width, height)


def _smooth_walk(rng: np.random.Generator, frames: int, length: float, columns: int) -> NDArray[np.float64]:
    """Draw smooth noise (frames, columns) of a correlation length in frames and deviation about 1."""
    reach = int(3 * length) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / length) ** 2)
    kernel /= np.sqrt((kernel**2).sum())
    noise = rng.standard_normal((frames + 2 * reach, columns))
    return np.column_stack([np.convolve(noise[:, column], kernel, "valid") for column in range(columns)])


def _to_affine(
    shift: NDArray[np.float64], turn: NDArray[np.float64], zoom: NDArray[np.float64], width: int, height: int
) -> NDArray[np.float32]:
    """Combine shifts (shares of the smaller side), turns (radians) and zooms (logarithms) about the center.

    All frames get one enlargement, just enough that no corner leaves the background.
    """
    center = np.array([width - 1, height - 1]) / 2
    scale, cos, sin = np.exp(-zoom), np.cos(turn), np.sin(turn)
    linear = scale[:, None, None] * np.array([[cos, -sin], [sin, cos]]).transpose(2, 0, 1)
    moved = shift * min(width, height)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * center
    reached = np.abs(np.einsum("tij,cj->tci", linear, corners)).max(1) / center
    room = 1 - np.abs(moved) / center
    linear *= min(float((room / reached).min()), 1.0)
    offset = center + moved - np.einsum("tij,j->ti", linear, center)
    return np.concatenate([linear, offset[..., None]], 2).astype(np.float32)


def sample_background(background: Image, affine: NDArray[np.float32], width: int, height: int) -> Image:
    """Sample a background for one frame.

    Args:
        background: (H, W, 3), linear RGB.
        affine: (2, 3), map from pixel positions of the picture to those of the background.
        width: width of the picture, in pixels.
        height: height of the picture, in pixels.

    Returns:
        (height, width, 3); cubic interpolation, with borders mirrored. The identity copies exactly.
    """
    if np.array_equal(affine, np.eye(2, 3)) and background.shape[:2] == (height, width):
        return background.copy()
    result: Image = cv2.warpAffine(
        background, affine, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )  # fmt: skip
    return np.maximum(result, 0)
