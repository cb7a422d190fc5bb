"""Things that a head wears: a mesh with a texture, fixed to the head, the neck or the torso."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.head import HAIR, PLAIN, Floats, Ints

TEXTURE_SIDE = 128
"""Side of the square textures of parts, in pixels."""


@dataclass(frozen=True)
class Part:
    """A mesh with one texture: hair, a beard, a hat, glasses, a microphone.

    Attributes:
        points: (V, 3), vertices at rest, in m.
        directions: (V, 3), unit vectors along the strands of hair, away from the root; zeros for other
            materials.
        bones: (V, 2), share of the head's and of the neck's motion, as in `HeadModel`; the rest is the
            torso's.
        triangles: (T, 3), indices into `points`.
        uv: (T, 3, 2), texture coordinates of the corners; the texture repeats outside [0, 1].
        albedo: (128, 128, 3), share of the light that is reflected, linear RGB in [0, 1].
        opacity: (128, 128), from 0 to 255; below 128 there is a hole. Constant 255 for what has none.
        material: `HAIR` (strands shine across their direction) or `PLAIN`.
        gloss: strength of the highlight of plain materials, in [0, 1].
        anchors: (V,), vertex of the head model whose displacement by facial actions each vertex follows, or
            None where no expression moves it.
    """

    points: Floats
    directions: Floats
    bones: Floats
    triangles: Ints
    uv: Floats
    albedo: Floats
    opacity: NDArray[np.uint8]
    material: int
    gloss: float = 0.0
    anchors: Ints | None = None

    def __post_init__(self) -> None:
        assert self.material in (HAIR, PLAIN)
