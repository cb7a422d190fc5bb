"""Light of a take: a few lamps and a surround, drawn like those of studios, offices, windows and evenings."""

import numpy as np

from faceanim.synthetic.head import Floats
from faceanim.synthetic.rendering.shading import Lighting


def draw_lighting(rng: np.random.Generator) -> Lighting:
    """Draw the lamps and the surround of a take."""
    soft = rng.beta(2.0, 2.0)  # 1: overcast or a ring of panels; 0: one hard lamp
    key_angle, key_height = rng.normal(0, 0.75), rng.uniform(0.05, 0.9)
    directions = [_direction(key_angle, key_height)]
    colors = [_tint(rng, 0.06) * rng.uniform(0.7, 1.3) * (1.25 - 0.7 * soft)]
    if rng.random() < 0.6:  # a fill from the other side
        directions.append(_direction(-np.sign(key_angle) * rng.uniform(0.3, 1.2), rng.uniform(-0.1, 0.6)))
        colors.append(_tint(rng, 0.12) * rng.uniform(0.1, 0.5))
    if rng.random() < 0.35:  # a rim light from behind
        directions.append(_direction(rng.choice([-1, 1]) * rng.uniform(1.9, 2.6), rng.uniform(0.1, 0.8)))
        colors.append(_tint(rng, 0.2) * rng.uniform(0.2, 0.9))
    strength = 0.22 + 0.55 * soft
    sky = _tint(rng, 0.08) * strength * rng.uniform(0.8, 1.2)
    ground = _tint(rng, 0.15) * strength * rng.uniform(0.3, 0.9)
    front = _tint(rng, 0.06) * strength * rng.uniform(0.0, 0.5)
    width = rng.uniform(0.03, 0.10)
    window = (directions[0][0] * 0.8, directions[0][1] * 0.8, width, width * rng.uniform(0.6, 1.6))
    return Lighting(
        np.array(directions, np.float32), np.array(colors, np.float32), sky, ground, front,
        np.array(window, np.float32),
    )  # fmt: skip


def _direction(angle: float, height: float) -> tuple[float, float, float]:
    """Point to a lamp at an angle around the head (0 is the camera's side) and a height, both in radians."""
    flat = np.cos(height)
    return float(np.sin(angle) * flat), float(np.sin(height)), float(np.cos(angle) * flat)


def _tint(rng: np.random.Generator, spread: float) -> Floats:
    """Draw a color near white: warmer or colder by about `spread`."""
    warmth = rng.normal(0, spread)
    return np.array([1 + warmth, 1.0, 1 - warmth], np.float32).clip(0.4, 1.8)
