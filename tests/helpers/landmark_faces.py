"""Exact landmarks of heads that do not exist, without rendering them."""

import numpy as np

from faceanim.faces.landmark_sets import IBUG68
from faceanim.synthetic.head import ACTIONS, Floats, load_head, move
from faceanim.synthetic.rendering.rasterizer import project

DISTANCE, FOCAL = 1.2, 6.0
"""Distance of the camera in m, and its focal length in units of [-1, 1]: a face fills half of the frame."""


def make_shape(seed: int) -> Floats:
    """Draw the vertices of a head at rest, (V, 3), in m."""
    model, rng = load_head(), np.random.default_rng(seed)
    return model.shape(rng.random(len(model.traits)), rng.standard_normal(len(model.components)))


def show_landmarks(shape: Floats, turn: tuple[float, float, float] = (0, 0, 0), **actions: float) -> Floats:
    """Show the landmarks of a head to a camera: (68, 2), x then y, within [-1, 1].

    Args:
        shape: vertices at rest, from `make_shape`.
        turn: yaw to the right of the image, pitch upwards and roll clockwise, in degrees.
        actions: strengths of facial actions, in [0, 1].
    """
    model = load_head()
    strengths = np.zeros(len(ACTIONS), np.float32)
    for name, strength in actions.items():
        strengths[ACTIONS.index(name)] = strength
    vertices = shape + np.einsum("a,avc->vc", strengths, model.actions)
    posed = move(vertices, model.bones, np.radians(turn), np.zeros(3), np.array((0, 0, -DISTANCE)))
    pixels, _ = project(posed, FOCAL, (0.0, 0.2))
    return np.asarray(model.landmarks(pixels)[list(IBUG68)], np.float32)
