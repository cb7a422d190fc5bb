"""Flat backgrounds: studio paper, muslin, bricks, grass, wood, marble, wallpaper, curtains, blinds, leaves.

Each function draws linear RGB in [0, 1], (height, width, 3), before lighting and depth blur.
"""

from functools import lru_cache

import cv2
import numpy as np

from faceanim.synthetic.scenes.color import Image, decode_pixels, decode_srgb, draw_color, to_byte
from faceanim.synthetic.scenes.noise import blend, draw_noise


def draw_plain(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw the paper of a photo studio or a painted wall, now and then nearly black or white."""
    kind = rng.random()
    value = (0.02, 0.12) if kind < 0.2 else (0.75, 1.0) if kind < 0.5 else (0.15, 0.85)
    color = decode_srgb(draw_color(rng, value, (0.0, 0.2 if rng.random() < 0.6 else 0.8)))
    image = np.empty((height, width, 3), np.float32)
    image[:] = color
    if rng.random() < 0.6:  # roughness of plaster
        image *= (1 + rng.uniform(0.01, 0.06) * draw_noise(rng, width, height, 0.8))[..., None]
    return image


def draw_gradient(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw two or three colors that run into each other, or a spot of light behind the head."""
    hue = rng.random() if rng.random() < 0.5 else None
    first = decode_srgb(draw_color(rng, (0.02, 0.4), (0.0, 0.9), hue))
    second = decode_srgb(draw_color(rng, (0.25, 0.95), (0.0, 0.8), hue))
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None] * max(width / height, 0.6)
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    if rng.random() < 0.5:
        x, y = rng.uniform(-0.6, 0.6), rng.uniform(-0.7, 0.3)
        distance = np.hypot(columns - np.float32(x), rows - np.float32(y)) / np.float32(rng.uniform(0.5, 1.3))
        weight = np.exp(-(distance**2))
    else:
        turn = rng.uniform(0, 2 * np.pi)
        ramp = (columns * np.float32(np.cos(turn)) + rows * np.float32(np.sin(turn))) / np.float32(
            rng.uniform(0.5, 1.6)
        )
        weight = 0.5 + 0.5 * np.tanh(ramp)
    weight = weight + np.float32(rng.uniform(0, 0.12)) * draw_noise(rng, width, height, 2.0)
    return np.clip(blend(first, second, np.asarray(weight, np.float32)), 0, 1)


def draw_muslin(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw a painted cloth, a cloudy mixture of colors."""
    hue = float(rng.random())
    colors = [
        decode_srgb(draw_color(rng, (0.05, 0.8), (0.0, 0.7), hue + rng.normal(0, 0.06))) for _ in range(3)
    ]
    colors[1:] = [
        colors[0] + np.float32(rng.uniform(0.15, 0.8)) * (color - colors[0]) for color in colors[1:]
    ]
    slope = float(rng.choice([1.1, 1.5, 2.0]))
    sharp = rng.uniform(0.8, 2.5)
    first = 0.5 + 0.5 * np.tanh(sharp * draw_noise(rng, width, height, slope))
    image = blend(colors[0], colors[1], np.asarray(first, np.float32))
    second = 0.5 + 0.5 * np.tanh(sharp * draw_noise(rng, width, height, slope) - 0.7)
    return blend(image, colors[2], np.asarray(second, np.float32))


@lru_cache(maxsize=3)
def _photo(name: str) -> Image:
    """Load a texture of scikit-image (public domain) as a gray value of mean 0.5, (512, 512)."""
    from skimage import data

    gray = getattr(data, name)().astype(np.float32) / 255
    return np.asarray(np.clip(gray - gray.mean() + np.float32(0.5), 0, 1), np.float32)


def draw_photo_texture(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw bricks, gravel or grass from scikit-image, recolored, cut and turned at random."""
    name = str(rng.choice(["brick", "gravel", "grass"], p=[0.55, 0.2, 0.25]))
    zoom = rng.uniform(0.7, 1.8) * max(width, height) / 512
    angle = rng.normal(0, 0.03) if name == "brick" else rng.uniform(0, 6.28)
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    reach = max(512 - max(width, height) / zoom, 1.0)
    matrix = np.array([[cos, sin, rng.uniform(0, reach)], [-sin, cos, rng.uniform(0, reach)]])
    gray = cv2.warpAffine(
        _photo(name), matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip
    hue = {
        "brick": rng.uniform(-0.01, 0.09),
        "gravel": rng.uniform(0.05, 0.15),
        "grass": rng.uniform(0.17, 0.33),
    }
    saturation = {"brick": (0.0, 0.6), "gravel": (0.0, 0.25), "grass": (0.3, 0.7)}
    dark = decode_srgb(draw_color(rng, (0.05, 0.3), saturation[name], hue[name]))
    light = decode_srgb(draw_color(rng, (0.5, 0.95), saturation[name], hue[name] + rng.normal(0, 0.02)))
    patches = np.clip(gray + 0.12 * draw_noise(rng, width, height, 1.5), 0, 1)
    return blend(dark, light, np.asarray(patches ** rng.uniform(1.0, 2.0), np.float32))


def draw_wood(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw wooden boards: stretched grain, rings, and joints between the boards."""
    upright = bool(rng.random() < 0.5)
    angle = np.pi / 2 if upright else 0.0
    grain = draw_noise(rng, width, height, 1.1, 1.2, 9.0, angle)
    rings = draw_noise(rng, width, height, 2.0, 1.5, 5.0, angle)
    across = (np.arange(width)[None] if upright else np.arange(height)[:, None]).astype(np.float32)
    board = rng.uniform(0.1, 0.35) * max(width, height)
    phase = across / np.float32(board) + np.float32(rng.random())
    tones = rng.normal(0, 0.12, int(phase.max()) + 2).astype(np.float32)
    joint = np.clip(np.abs(phase - np.round(phase)) * board / 1.5 - 0.3, 0, 1)
    value = 0.5 + 0.16 * grain + 0.16 * np.sin(rng.uniform(4, 10) * rings) + tones[phase.astype(int)]
    hue = rng.uniform(0.04, 0.1)
    dark = decode_srgb(draw_color(rng, (0.1, 0.4), (0.4, 0.75), hue))
    light = decode_srgb(draw_color(rng, (0.4, 0.85), (0.25, 0.6), hue + 0.01))
    return np.asarray(
        blend(dark, light, np.clip(value, 0, 1).astype(np.float32)) * (0.35 + 0.65 * joint)[..., None],
        np.float32,
    )


def draw_marble(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw marble or stone: veins where a turbulent noise crosses zero."""
    field = draw_noise(rng, width, height, 1.5, 1.5) + 0.3 * draw_noise(rng, width, height, 0.8)
    veins = np.exp(-np.abs(field) * rng.uniform(4, 9)) * np.clip(
        0.6 + 0.5 * draw_noise(rng, width, height, 2.0), 0, 1
    )
    clouds = 0.5 + 0.25 * draw_noise(rng, width, height, 1.5)
    base = decode_srgb(draw_color(rng, (0.25, 0.95), (0.0, 0.25)))
    cloud = decode_srgb(draw_color(rng, (0.2, 0.8), (0.0, 0.25)))
    vein = decode_srgb(draw_color(rng, (0.05, 0.9), (0.0, 0.5)))
    image = blend(base, cloud, np.clip(clouds, 0, 1).astype(np.float32))
    return blend(image, vein, np.asarray(0.8 * veins, np.float32))


def draw_wallpaper(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw a repeated motif on paper: stripes, diamonds, dots or ornaments."""
    period = rng.uniform(0.06, 0.25) * height
    rows = np.arange(height, dtype=np.float32)[:, None] * np.float32(2 * np.pi / period)
    columns = np.arange(width, dtype=np.float32)[None] * np.float32(2 * np.pi / period)
    kind = int(rng.integers(4))
    if kind == 0:
        wave = np.broadcast_to(np.cos(columns) + 0.5 * np.cos(3 * columns + 1), (height, width))
    elif kind == 1:
        wave = np.cos(rows + columns) * np.cos(rows - columns)
    elif kind == 2:
        wave = np.cos(rows) + np.cos(columns) - 1
    else:
        wave = np.cos(rows + 1.5 * np.cos(columns)) + np.cos(2 * columns + np.cos(2 * rows))
    edge = np.float32(rng.uniform(2, 9))
    weight = 0.5 + 0.5 * np.tanh(edge * (np.asarray(wave, np.float32) - np.float32(rng.uniform(-0.2, 0.4))))
    hue = float(rng.random())
    first = decode_srgb(draw_color(rng, (0.25, 0.9), (0.0, 0.5), hue))
    second = decode_srgb(draw_color(rng, (0.25, 0.9), (0.0, 0.5), hue + rng.normal(0, 0.05)))
    second = first + np.float32(rng.uniform(0.3, 1)) * (second - first)
    fibers = 1 + 0.03 * draw_noise(rng, width, height, 0.5)
    return blend(first, second, np.asarray(weight, np.float32)) * fibers[..., None]


def draw_curtain(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw folds of a hanging cloth that change slowly from top to bottom."""
    folds = np.cumsum(rng.uniform(0.4, 1.6, width)) * rng.uniform(0.06, 0.16) * 384 / height
    bend = 0.35 * draw_noise(rng, width, height, 2.0, 2.0, 4.0, np.pi / 2)
    phase = folds.astype(np.float32)[None] + bend
    shade = 0.56 + 0.32 * np.sin(phase) + 0.1 * np.sin(2.3 * phase + 1)
    color = decode_srgb(draw_color(rng, (0.2, 0.95), (0.0, 0.85)))
    weave = 1 + 0.04 * draw_noise(rng, width, height, 0.5, 0.8, 3.0, np.pi / 2)
    return (np.clip(shade, 0.05, 1) ** np.float32(rng.uniform(1, 2.2)) * weave)[..., None] * color


def draw_blinds(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw slats of a blind with light between them, and their cords."""
    period = rng.uniform(0.03, 0.1) * height
    upright = bool(rng.random() < 0.25)
    along = (np.arange(width)[None] if upright else np.arange(height)[:, None]).astype(np.float32)
    phase = (along / np.float32(period)) % 1
    slat = decode_srgb(draw_color(rng, (0.3, 0.95), (0.0, 0.3)))
    outside = decode_srgb(draw_color(rng, (0.6, 1.0), (0.0, 0.3), rng.uniform(0.1, 0.6))) * rng.uniform(
        0.3, 1.6
    )
    gap = np.clip((phase - rng.uniform(0.6, 0.95)) * period / 1.2, 0, 1)
    profile = np.float32(0.35) + np.float32(0.6) * phase ** np.float32(rng.uniform(0.5, 1.5))
    stripes = blend(slat * profile[..., None], np.asarray(outside, np.float32), gap)
    image = np.array(np.broadcast_to(stripes, (height, width, 3)))
    for place in rng.uniform(0, 1, 2):
        if upright:
            break
        left = int(place * width)
        image[:, left : left + 2] *= 0.6
    return np.minimum(image, 1)


def draw_foliage(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw leaves from dark, far ones to bright, near ones, with gaps that show the sky."""
    hue = rng.uniform(0.14, 0.36)
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = to_byte(draw_color(rng, (0.03, 0.2), (0.2, 0.6), hue))
    sky = draw_noise(rng, width, height, 1.5) > rng.uniform(0.8, 2.5)
    canvas[sky] = to_byte(draw_color(rng, (0.75, 1.0), (0.0, 0.4), rng.uniform(0.1, 0.6)))
    count = 420
    length = np.exp(rng.normal(np.log(0.022 * max(width, height)), 0.4, count)) + 1
    places = rng.uniform(-0.02, 1.02, (count, 2)) * (width, height)
    turns = rng.normal(rng.uniform(0, 180), 50, count)
    for index in range(count):
        depth = index / count
        color = draw_color(
            rng, (0.1 + 0.3 * depth, 0.25 + 0.6 * depth), (0.3, 0.8), hue + rng.normal(0, 0.02)
        )
        half = int(length[index])
        center = (int(places[index, 0]), int(places[index, 1]))
        axes = (half, max(int(half * 0.45), 1))
        cv2.ellipse(canvas, center, axes, float(turns[index]), 0, 360, to_byte(color), -1, cv2.LINE_AA)
    light = 1 + 0.4 * draw_noise(rng, width, height, 1.5) + 0.2 * draw_noise(rng, width, height, 0.5)
    return np.asarray(np.clip(decode_pixels(canvas) * np.clip(light, 0.2, 2.2)[..., None], 0, 1), np.float32)


def draw_clutter(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw overlapping things of all sizes (dead leaves), which has the statistics of an unfocused room.

    The radius r of the things has a density as r**-3, for which the amplitude of the picture's spectrum falls
    with frequency about as 1/f.
    """
    dim = rng.uniform(0.3, 1.0)
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = to_byte(draw_color(rng, (0.1, dim), (0.0, 0.4)))
    hues = [float(rng.random()), float(rng.normal(0.08, 0.02)), float(rng.normal(0.6, 0.03))]
    size = max(width, height)
    count = 160
    radii = 1 / np.sqrt(rng.uniform(1 / (0.35 * size) ** 2, 1 / (0.02 * size) ** 2, count))
    for radius in radii:
        hue = hues[int(rng.integers(3))]
        value = (0.85, 1.0) if rng.random() < 0.05 else (0.05, dim)
        color = to_byte(draw_color(rng, value, (0.0, 0.8), hue))
        x, y = rng.uniform(-0.1, 1.1, 2) * (width, height)
        half, tall = radius * np.exp(rng.normal(0, 0.5, 2))
        if rng.random() < 0.75:
            cv2.rectangle(canvas, (int(x - half), int(y - tall)), (int(x + half), int(y + tall)), color, -1)
        else:
            cv2.ellipse(canvas, (int(x), int(y)), (int(half) + 1, int(tall) + 1), 0, 0, 360, color, -1)
    light = 1 + 0.3 * draw_noise(rng, width, height, 1.5)
    return np.asarray(np.clip(decode_pixels(canvas) * np.clip(light, 0.2, 2.2)[..., None], 0, 1), np.float32)


def draw_bokeh(rng: np.random.Generator, width: int, height: int) -> Image:
    """Draw lights out of focus: translucent discs with a faint rim on a dim, blurred ground."""
    hue = float(rng.random())
    image = draw_gradient(rng, width, height) * np.float32(rng.uniform(0.1, 0.5))
    radius = rng.uniform(0.02, 0.07) * max(width, height)
    for _ in range(int(rng.integers(15, 60))):
        size = max(int(radius * rng.uniform(0.7, 1.2)), 2)
        color = decode_srgb(draw_color(rng, (0.5, 1), (0.1, 0.9), hue + rng.normal(0, 0.12)))
        stamp_disc(image, rng.uniform(0, width), rng.uniform(0, height), size, color * rng.uniform(0.05, 0.6))
    return np.asarray(np.minimum(image, 1), np.float32)


@lru_cache(maxsize=64)
def _disc(size: int) -> Image:
    rows, columns = np.mgrid[-size : size + 1, -size : size + 1].astype(np.float32)
    distance = np.hypot(rows, columns) / size
    return np.asarray(np.clip((1 - distance) * size, 0, 1) * (0.75 + 0.35 * distance**6), np.float32)


def stamp_disc(image: Image, x: float, y: float, size: int, light: Image) -> None:
    """Add a disc of light of a radius in pixels to an image, in place."""
    left, top = int(x) - size, int(y) - size
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + 2 * size + 1, image.shape[1]), min(top + 2 * size + 1, image.shape[0])
    if x1 > x0 and y1 > y0:
        image[y0:y1, x0:x1] += _disc(size)[y0 - top : y1 - top, x0 - left : x1 - left, None] * light
