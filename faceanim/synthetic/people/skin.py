"""Skin: the texture of a head, painted around fixed places of the template, and the torso's in clothes.

The head's texture is a cylinder unrolled (`head.SKIN_HEIGHTS`), the same for everybody, so masks of cheeks,
brows or beard are computed once. Colors are albedos in linear RGB; tones span the measured range of human
skin, about 0.08 to 0.65 in red. The last channel is the height of the surface, in m, for wrinkles and pores.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from faceanim.synthetic.head import SKIN, SKIN_HEIGHTS, Floats, load_head
from faceanim.synthetic.rendering.rasterizer import Cutouts, rasterize

HEIGHT, WIDTH = 512, 1024
"""Size of the texture, in pixels of about 0.8 by 0.5 mm."""
LIGHTEST = np.array([0.67, 0.44, 0.34], np.float32)
DARKEST = np.array([0.090, 0.038, 0.021], np.float32)

CHEEKS, NOSE, FOREHEAD = (50, 280, 205, 425), (4, 1, 5), (151, 9, 108, 337)
CHIN, MUSTACHE = (152, 175, 199, 200, 148, 377), (164, 167, 393, 92, 322, 165, 391)
JAW = (172, 136, 150, 149, 176, 397, 365, 379, 378, 400, 138, 367, 135, 364, 58, 288)
UNDER_EYES = (230, 231, 229, 450, 451, 449)
LAUGH_LINES = ((129, 203, 206, 216, 212), (358, 423, 426, 436, 432))
EYE_BAGS = ((226, 228, 229, 230, 231, 232), (446, 448, 449, 450, 451, 452))
EYE_CORNERS = (33, 263)
"""Landmarks of MediaPipe's face mesh around which features are painted."""


@dataclass(frozen=True)
class SkinStyle:
    """Traits of a person's skin.

    Attributes:
        tone: from 0 (lightest) to 1 (darkest).
        redness: strength of the blood's color in cheeks, nose and ears, about 0 to 1.
        warmth: shift of the hue, about -1 (pink) to 1 (olive).
        age: from 0 (young adult) to 1 (old), which makes wrinkles and spots.
        freckles: from 0 to 1.
        stubble: from 0 (shaved, or none) to 1.
        hair: (3,), color of stubble and of the scalp under hair, linear RGB.
        blush: strength of make-up on the cheeks, 0 to 1.
        paint: face paint: "none", "stripes", "half" or "dots".
    """

    tone: float
    redness: float
    warmth: float
    age: float
    freckles: float
    stubble: float
    hair: Floats
    blush: float = 0.0
    paint: str = "none"


def base_color(style: SkinStyle) -> Floats:
    """Compute the mean albedo of a person's skin, (3,), linear RGB."""
    color = LIGHTEST * (DARKEST / LIGHTEST) ** np.float32(style.tone)
    shift = np.array([1.0, 1 + 0.03 * style.warmth, 1 - 0.10 * style.warmth], np.float32)
    return np.asarray(color * shift, np.float32)


def paint_skin(style: SkinStyle, scalp: Floats, rng: np.random.Generator) -> Floats:
    """Paint the texture of a head.

    Args:
        style: traits of the skin.
        scalp: (V,), coverage of each vertex of the head model by hair, in [0, 1].
        rng: source of the pattern.

    Returns:
        (512, 1024, 4): albedo in linear RGB, and height in m.
    """
    color = base_color(style)
    blood = np.array([1.04, 0.74, 0.70], np.float32)  # more blood absorbs green and blue
    flush = 0.35 * _blobs(CHEEKS, 0.017) + 0.5 * _blobs(NOSE, 0.011) + 0.5 * _vertex_field(2)
    flush = style.redness * (
        flush + 0.09 * _noise(rng, 1) + 0.05 * _noise(rng, 2)
    ) + style.blush * 0.8 * _blobs((50, 280, 117, 346), 0.013)
    flush += 0.08 * style.age * _noise(rng, 2)
    image = color * blood ** flush[..., None]
    shade = (
        1 + 0.03 * _noise(rng, 0) + 0.015 * _noise(rng, 1) + 0.02 * _noise(rng, 2) + 0.025 * _noise(rng, 3)
    )
    shade -= (0.10 + 0.12 * style.age) * _blobs(UNDER_EYES, 0.006)
    shade -= 0.07 * _vertex_field(1)
    spots = np.clip(_noise(rng, 3) - 2.2 + 1.5 * style.freckles, 0, 1) * (
        _blobs(CHEEKS, 0.022) + _blobs(NOSE, 0.02)
    )
    shade -= 0.32 * style.freckles * np.clip(spots, 0, 1)
    shade -= 0.5 * style.age * np.clip(_noise(rng, 2) - 2.3, 0, 0.6)
    wrinkles = _wrinkles(style.age, rng)
    image *= np.clip(shade - 260 * wrinkles, 0.25, 1.3)[..., None]
    _paint_moles(image, rng)
    _paint_stubble(image, style, rng)
    cover = _sample_vertices(scalp)
    cover = np.clip(cover + cover * (1 - cover) * _noise(rng, 3), 0, 1)[..., None]
    image += cover * (0.7 * style.hair * np.clip(1 + 0.3 * _noise(rng, 3), 0.4, 1.6)[..., None] - image)
    _paint_face(image, style.paint, rng)
    height = 4e-5 * _noise(rng, 4) + 2.5e-5 * _noise(rng, 3) - wrinkles
    return np.concatenate([np.clip(image, 0.01, 0.9), height[..., None]], -1).astype(np.float32)


def _paint_moles(image: Floats, rng: np.random.Generator) -> None:
    for _ in range(rng.poisson(4)):
        x, y = int(rng.uniform(0.3, 0.7) * WIDTH), int(rng.uniform(0.2, 0.95) * HEIGHT)
        size = float(rng.uniform(0.8, 2.2))
        spot = np.zeros((25, 25), np.float32)
        cv2.circle(spot, (12, 12), round(size), 1.0, -1)
        area = image[y - 12 : y + 13, x - 12 : x + 13]
        spot = cv2.GaussianBlur(spot, (0, 0), 0.8)[: area.shape[0], : area.shape[1], None]
        area *= 1 - 0.6 * spot * np.array([0.8, 1.0, 1.0], np.float32)


def _paint_stubble(image: Floats, style: SkinStyle, rng: np.random.Generator) -> None:
    if style.stubble <= 0:
        return
    region = np.clip(beard_region() * (1 + 0.3 * _noise(rng, 1)), 0, 1)
    dots = np.clip(_noise(rng, 4) - 0.5, 0, 1)
    cover = (style.stubble * region * (0.30 + 0.30 * dots))[..., None]
    image += np.clip(cover, 0, 0.8) * (style.hair * 0.9 + 0.01 - image)


def _pixel(point: Floats) -> tuple[int, int]:
    return int(point[0]), int(point[1])


def _paint_face(image: Floats, kind: str, rng: np.random.Generator) -> None:
    if kind == "none":
        return
    color = np.array(rng.dirichlet((0.6, 0.6, 0.6)) * rng.uniform(0.4, 1.2), np.float32)
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    points = texture_points()
    if kind == "half":
        middle = points[1, 0]
        mask[:, int(middle) : int(middle) + 190] = 1
        mask *= np.clip(1.6 * _blobs((10, 1, 151, 9, 152, 50, 280, 205, 425), 0.03), 0, 1) > 0.5
    elif kind == "stripes":
        for side in ((117, 187), (346, 411)):
            start, end = (_pixel(points[index]) for index in side)
            for step in (0, 16):
                cv2.line(mask, (start[0], start[1] + step), (end[0], end[1] + step), 1.0, 7)
    else:
        for index in rng.choice(468, 40, replace=False):
            x, y = points[index]
            cv2.circle(mask, (int(x), int(y)), int(rng.integers(2, 6)), 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 1.2) * np.clip(0.85 + 0.12 * _noise(rng, 3), 0, 1)
    image += mask[..., None] * (np.clip(color, 0.03, 0.8) - image)


def _wrinkles(age: float, rng: np.random.Generator) -> Floats:
    """Compute the depth of wrinkles, in m, (512, 1024)."""
    depth = np.zeros((HEIGHT, WIDTH), np.float32)
    points = texture_points()
    grooves = dict.fromkeys(LAUGH_LINES, 0.35 + 0.65 * age) | dict.fromkeys(EYE_BAGS, 0.25 + age)
    for line, strength in grooves.items():
        groove = np.zeros_like(depth)
        cv2.polylines(groove, [points[list(line)].astype(np.int32)], False, 1.0, 2, cv2.LINE_AA)
        depth += strength * rng.uniform(0.5, 1.2) * 1.6 * cv2.GaussianBlur(groove, (0, 0), 2.2)
    if age > 0.25:
        for corner in EYE_CORNERS:
            outer = points[corner]
            away = np.sign(outer[0] - points[1, 0])
            for angle in rng.uniform(-0.6, 0.7, 6):
                near = outer + np.array([away * 6, 3 * np.sin(angle)])
                far = outer + np.array([away * (5 + 22 * np.cos(angle)), 14 * np.sin(angle)])
                groove = np.zeros_like(depth)
                cv2.line(groove, _pixel(near), _pixel(far), 1.0, 1, cv2.LINE_AA)
                depth += 0.9 * age * groove
        rows = np.arange(HEIGHT, dtype=np.float32)[:, None] + 6 * _noise(rng, 0)
        period = rng.uniform(11, 17)
        lines = np.clip(np.cos(2 * np.pi * rows / period) - 0.75, 0, 1) * 4
        depth += 0.6 * age * lines * _blobs(FOREHEAD, 0.028) * np.clip(0.6 + 0.5 * _noise(rng, 1), 0, 1)
    return np.asarray(cv2.GaussianBlur(depth, (0, 0), 0.8) * np.float32(3.5e-4), np.float32)


@cache
def texture_points() -> Floats:
    """Locate MediaPipe's 468 landmarks in the texture, (468, 2), x then y in pixels."""
    points = load_head().landmarks(load_head().mean)
    around = np.arctan2(points[:, 0], points[:, 2] - 0.02) / (2 * np.pi) + 0.5
    top, bottom = SKIN_HEIGHTS
    return np.stack([around * WIDTH, (top - points[:, 1]) / (top - bottom) * HEIGHT], -1).astype(np.float32)


@cache
def beard_region() -> Floats:
    """Compute where beards grow, (512, 1024) in [0, 1]."""
    region = 1.3 * _blobs(JAW, 0.011) + 1.3 * _blobs(CHIN, 0.012) + 1.2 * _blobs(MUSTACHE, 0.006)
    return np.asarray(np.clip(region, 0, 1) * (1 - _vertex_field(0)), np.float32)


@cache
def _positions() -> Floats:
    """Compute the point of the mean head at each pixel of the texture, (512, 1024, 3), in m."""
    return _rasterize_texture(load_head().mean)


def _rasterize_texture(values: Floats) -> Floats:
    """Spread values at vertices, (V, C), over the texture, (512, 1024, C)."""
    fragments, corners = _texture_fragments()
    weights = fragments.weights
    second, third = weights[..., :1], weights[..., 1:]
    a, b, c = (values[corners[fragments.triangle, k]] for k in range(3))
    return np.asarray(a * (1 - second - third) + b * second + c * third, np.float32)


@cache
def _texture_fragments():  # type: ignore[no-untyped-def]
    model = load_head()
    chosen = np.flatnonzero(model.materials == SKIN)
    corners = model.triangles[chosen]
    pixels = model.uv[chosen] * (WIDTH, HEIGHT)
    doubled = np.concatenate(
        [pixels, pixels - (WIDTH, 0)]
    )  # triangles across the seam at the back appear twice
    # What lies further out covers what lies below it: ears cover the skull behind them.
    distance = np.linalg.norm(model.mean[corners][..., [0, 2]], axis=-1)
    depth = np.tile(distance.reshape(-1), 2) + 1
    triangles = np.arange(6 * len(chosen)).reshape(-1, 3)
    none = Cutouts(
        np.full(len(triangles), -1, np.int32), np.zeros((1, 3, 2), np.float32), np.zeros((1, 1, 1), np.uint8)
    )
    fragments = rasterize(
        doubled.reshape(-1, 2).astype(np.float32),
        depth.astype(np.float32),
        triangles.astype(np.int32),
        (HEIGHT, WIDTH),
        none,
    )
    return fragments, np.tile(corners, (2, 1))


def _sample_vertices(values: Floats) -> Floats:
    return _rasterize_texture(values[:, None])[..., 0]


@cache
def _vertex_field(column: int) -> Floats:
    """Spread an attribute of the head model (0 lips, 1 eyelids, 2 ears) over the texture."""
    return _sample_vertices(load_head().attributes[:, column])


@cache
def _blobs(landmarks: tuple[int, ...], radius: float) -> Floats:
    """Compute soft disks around landmarks, (512, 1024) in [0, 1]; the radius is in m."""
    points = load_head().landmarks(load_head().mean)
    positions = _positions()
    result = np.zeros((HEIGHT, WIDTH), np.float32)
    for index in landmarks:
        squared = ((positions - points[index]) ** 2).sum(-1)
        result = np.maximum(result, np.exp(-squared / (2 * radius**2)))
    return result


_BANDS = ((30.0, 90.0), (10.0, 30.0), (4.0, 10.0), (1.7, 4.0), (0.9, 1.7))
"""Shortest and longest scale of each band of noise, in pixels of the texture."""


@cache
def _noise_bank(band: int) -> tuple[Floats, ...]:
    """Draw three fields of noise of unit standard deviation, periodic in both directions."""
    rng = np.random.default_rng(100 + band)
    # The texture's pixels are higher than wide.
    frequency = np.hypot(np.fft.fftfreq(HEIGHT)[:, None] / 1.45, np.fft.rfftfreq(WIDTH)[None])
    short, long = _BANDS[band]
    scale = 1 / np.maximum(2 * np.pi * frequency, 1e-9)
    window = ((scale > short / 2) & (scale < long / 2)) / np.maximum(frequency, 1e-9)
    fields = []
    for _ in range(3):
        spectrum = np.fft.rfft2(rng.standard_normal((HEIGHT, WIDTH))) * window
        field = np.fft.irfft2(spectrum, s=(HEIGHT, WIDTH))
        fields.append((field / field.std()).astype(np.float32))
    return tuple(fields)


def _noise(rng: np.random.Generator, band: int) -> Floats:
    """Take a field of noise of a band, shifted at random around the head."""
    field = _noise_bank(band)[rng.integers(3)]
    field = np.roll(field, (int(rng.integers(HEIGHT)), int(rng.integers(WIDTH))), (0, 1))
    return np.asarray(field[:, ::-1] if rng.random() < 0.5 else field)
