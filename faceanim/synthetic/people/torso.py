"""The texture of neck and torso as seen from the front: skin above the neckline, clothes below it."""

import cv2
import numpy as np

from faceanim.synthetic.head import TORSO_WINDOW, Floats
from faceanim.synthetic.people.clothes import draw_clothes_style, paint_clothes
from faceanim.synthetic.scenes.noise import draw_periodic_noise

SIDE = 512
"""Side of the texture, in pixels."""
NECK_PIT = -0.160
"""Height of the hollow between the collarbones, in m."""
HIGHEST_COLLAR = 0.038
"""Height above the neck pit at which the torso's texture ends for sure; a collar stays below it. In m."""


def paint_torso(skin: Floats, rng: np.random.Generator) -> Floats:
    """Paint the texture of a torso.

    Args:
        skin: (3,), mean albedo of the skin, linear RGB.
        rng: source of cut, cloth and pattern.

    Returns:
        (512, 512, 5): albedo in linear RGB, height in m, and coverage by cloth in [0, 1].
    """
    left, right, upper, lower = TORSO_WINDOW
    x = np.linspace(left, right, SIDE, dtype=np.float32)[None].repeat(SIDE, 0)
    y = np.linspace(upper, lower, SIDE, dtype=np.float32)[:, None].repeat(SIDE, 1) - NECK_PIT
    style = draw_clothes_style(rng)
    mottle = 1 + 0.05 * draw_periodic_noise(rng, SIDE, 1.0) + 0.02 * draw_periodic_noise(rng, SIDE, 0.3)
    image = skin * mottle[..., None]
    neckline = np.minimum(style.neckline(x), HIGHEST_COLLAR)
    cloth = _soften((neckline - y) / 0.004)
    color = _tile(paint_clothes(rng, 256), float(rng.uniform(0.12, 0.3)))
    if style.lapels is not None and style.shirt is not None:
        shirt = (
            np.array(style.shirt, np.float32) * (1 + 0.03 * draw_periodic_noise(rng, SIDE, 0.5))[..., None]
        )
        opened = _soften((y - style.opening(x)) / 0.004)
        color = color + opened[..., None] * (shirt - color)
        edge = np.exp(-(((y - style.opening(x)) / 0.006) ** 2))
        color = color * (1 - 0.45 * edge[..., None])
    if style.tie is not None:
        width = 0.012 + 0.02 * np.clip(-y / 0.2, 0, 1)
        tie = _soften((width - np.abs(x)) / 0.002) * _soften(
            (neckline[:1, SIDE // 2 :][:, :1] - 0.004 - y) / 0.004
        )
        stripes = 0.85 + 0.15 * np.sign(np.sin((x + y) * rng.uniform(200, 500)))
        color = color + tie[..., None] * (np.array(style.tie, np.float32) * stripes[..., None] - color)
    image = image + cloth[..., None] * (color - image)
    # Folds, the rim of the collar, and its shade on the skin above.
    rim = np.exp(-(((neckline - y - 0.008) / 0.006) ** 2))
    image *= 1 - 0.35 * np.exp(-(((y - neckline) / 0.005) ** 2))[..., None] * (1 - cloth[..., None])
    folds = 0.0022 * cv2.GaussianBlur(draw_periodic_noise(rng, SIDE, 2.2), (0, 0), 3)
    height = cloth * (folds + style.thickness * 0.6 * rim)
    return np.concatenate([np.clip(image, 0.01, 0.9), height[..., None], cloth[..., None]], -1).astype(
        np.float32
    )


def _soften(value: Floats) -> Floats:
    return np.asarray(np.clip(value + 0.5, 0, 1), np.float32)


def _tile(cloth: Floats, width: float) -> Floats:
    """Lay a cloth that repeats every `width` meters over the texture."""
    left, right, upper, lower = TORSO_WINDOW
    columns = (np.linspace(left, right, SIDE) / width * len(cloth)) % len(cloth)
    rows = (np.linspace(upper, lower, SIDE) / width * len(cloth)) % len(cloth)
    x, y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    return np.asarray(cv2.remap(cloth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)
