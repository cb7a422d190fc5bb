"""Beards and brows: short ribbons that follow the skin they are rooted in."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from faceanim.synthetic.head import SKIN, Floats, Ints, load_head
from faceanim.synthetic.people.parts import Part
from faceanim.synthetic.people.scalp import (
    Roots,
    body_collider,
    nearest_vertices,
    scatter,
    skin_normals,
    wave_noise,
)
from faceanim.synthetic.people.strands import (
    Growth,
    Strands,
    clump,
    curl,
    grow,
    hair_part,
    normalize,
    strand_texture,
)

UPPER_BROW = ((107, 66, 105, 63, 70), (336, 296, 334, 293, 300))
LOWER_BROW = ((55, 65, 52, 53, 46), (285, 295, 282, 283, 276))
"""Landmarks along the edges of the right and the left brow, from the middle of the face outwards."""


@dataclass(frozen=True)
class BeardStyle:
    """Parameters of a beard.

    Attributes:
        areas: parts of the face where it grows: cheeks, chin, lip.
        length: in m, on the cheeks and the lip.
        chin: length on the chin, in m.
        count: number of ribbons for all areas; others have a share.
    """

    areas: tuple[str, ...]
    length: float
    chin: float
    count: int


BEARDS = {
    "none": BeardStyle((), 0, 0, 0),
    "short": BeardStyle(("cheeks", "chin", "lip"), 0.008, 0.009, 2200),
    "boxed": BeardStyle(("cheeks", "chin", "lip"), 0.011, 0.018, 1300),
    "full": BeardStyle(("cheeks", "chin", "lip"), 0.018, 0.045, 1200),
    "moustache": BeardStyle(("lip",), 0.013, 0.013, 2400),
    "goatee": BeardStyle(("chin",), 0.010, 0.018, 1800),
    "circle": BeardStyle(("chin", "lip"), 0.009, 0.013, 1900),
}
"""Styles of beards by name."""
BEARD_STYLES = tuple(BEARDS)
"""Names of the styles of beards."""


def beard_depth(place: Floats, areas: tuple[str, ...]) -> Floats:
    """Compute how far inside the area of a beard places of the mean head, (N, 3), are, (N,), in m."""
    x, y, z = np.abs(place[:, 0]), place[:, 1], place[:, 2]
    cheek_line = np.interp(
        x, (0, 0.027, 0.036, 0.050, 0.060, 0.067, 0.071), (-1, -0.032, -0.022, -0.016, -0.004, 0.024, 0.035)
    )
    neck = np.minimum(y + 0.073 - 0.30 * np.maximum(0.075 - z, 0), z - 0.028)
    below_lip = np.where(x < 0.024, -0.046 - y, 1)
    cheeks = np.minimum.reduce([cheek_line - y, neck, below_lip, x - 0.020])
    chin = np.minimum.reduce(
        [0.030 - x, -0.024 - y, neck + 0.004, np.maximum(below_lip, -0.022 - y - 0 * x), z - 0.06]
    )
    chin = np.minimum(chin, np.maximum(-0.045 - y, x - 0.0265))
    lip = np.minimum.reduce([0.034 - x, -0.0065 - y, y + 0.021 + np.maximum(x - 0.012, 0) * 0.65, z - 0.09])
    depths = {"cheeks": cheeks, "chin": chin, "lip": lip}
    return np.asarray(np.maximum.reduce([depths[area] for area in areas]), np.float32)


def beard_coverage(style: str, rest: Floats) -> Floats:
    """Compute how far the skin is to be painted in the color of the beard, (V,) in [0, 1]."""
    head = load_head()
    if not BEARDS[style].areas:
        return np.zeros(len(rest), np.float32)
    depth = beard_depth(head.mean, BEARDS[style].areas) + 0.002 * wave_noise(head.mean, 0.012, 1)
    skin = np.zeros(len(rest), np.float32)
    skin[head.triangles[head.materials == SKIN]] = 1
    return np.asarray(np.clip(depth / 0.006 + 0.3, 0, 1) * skin * (head.attributes[:, 0] < 0.1), np.float32)


@cache
def _beard_roots() -> Roots:
    head = load_head()
    skin = head.triangles[head.materials == SKIN]
    depth = beard_depth(head.mean, ("cheeks", "chin", "lip"))[skin]
    inside = (
        (depth.max(1) > 0)
        & (head.attributes[skin, 0].max(1) < 0.25)
        & (head.attributes[skin, 2].max(1) < 0.2)
    )
    return scatter(head, np.ascontiguousarray(skin[inside]), 2400, 1)


def make_beard(
    rng: np.random.Generator, style: str, rest: Floats, color: Floats, grey: float = 0.0
) -> list[Part]:
    """Make a person's beard.

    Args:
        rng: source of randomness.
        style: one of `BEARD_STYLES`.
        rest: (V, 3), vertices at rest, in m.
        color: (3,), share of light reflected, linear RGB in [0, 1].
        grey: share of grey strands, in [0, 1].
    """
    look = BEARDS[style]
    if not look.areas:
        return []
    every = _beard_roots()
    depth = beard_depth(every.place, look.areas) + 0.002 * wave_noise(every.place, 0.012, 1)
    chosen = np.flatnonzero(depth > rng.uniform(0, 0.003, len(depth)))
    chosen = chosen[chosen < look.count]
    roots, depth = every.take(chosen), depth[chosen]
    all_normals = skin_normals(rest)
    collider = body_collider(rest, all_normals, ears=False, spacing=0.004)
    count = len(chosen)
    low = np.clip((-0.042 - roots.place[:, 1]) / 0.02, 0, 1) * np.clip(
        1.6 - np.abs(roots.place[:, 0]) / 0.03, 0, 1
    )
    edge = np.clip(depth / 0.008, 0.3, 1)
    lengths = (look.length + (look.chin - look.length) * low) * rng.uniform(0.6, 1.2, count) * edge
    layers = (rng.uniform(0.1, 0.45, count) * np.minimum(lengths, 0.02) + 0.0006).astype(np.float32)
    lip = (beard_depth(roots.place, ("lip",)) > -0.002) & (roots.place[:, 1] > -0.03)
    lengths = np.where(lip, np.minimum(lengths, 0.015), lengths)
    layers = np.where(lip, np.minimum(layers, 0.003), layers)
    side = np.sign(roots.place[:, 0])
    across = np.clip(np.abs(roots.place[:, 0]) / 0.012, 0.15, 1)

    def flow(points: Floats) -> Floats:
        sideways = np.where(lip, side * across, -0.15 * side)
        return normalize(
            np.stack([sideways, np.where(lip, -0.75, -1), np.where(lip, 0, 0.35)], 1).astype(np.float32)
        )

    lift = (0.35 * edge).astype(np.float32)
    strands = grow(
        rng, collider, roots.on(rest), normalize(roots.on(all_normals)), lengths.astype(np.float32), layers,
        lift, flow, Growth(4 if look.length > 0.01 else 3, 0.5, 0.4, 0.1, 0.22),
    )  # fmt: skip
    clump(strands, max(2, count // 5), 0.35)
    if look.chin > 0.03:
        curl(rng, strands, 0.002, 0.02)
    strands.cut(_over_mouth(strands, rest))
    widths = ((0.0026 + 0.04 * look.length) * rng.uniform(0.5, 1.1, count) * (0.5 + 0.5 * edge)).astype(
        np.float32
    )
    bands = np.where(rng.random(count) < 0.3, 0, rng.integers(1, 4, count)).astype(np.int32)
    texture = strand_texture(rng, np.asarray(color, np.float32), 0.75, 0.5, grey, 0.5, 0.7)
    return [
        hair_part(rng, strands, widths, bands, texture, 0.5, load_head().bones[roots.anchors], roots.anchors)
    ]


def _over_mouth(strands: Strands, rest: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Find points of strands that would hang over the lips, (N, S + 1)."""
    marks = load_head().landmarks(rest)
    upper, lower, half = marks[0, 1], marks[17, 1], float(marks[291, 0] - marks[61, 0]) / 2
    points = strands.points
    x = np.abs(points[..., 0] - marks[0, 0]) / half
    height = points[..., 1]
    edge = upper + 0.001 - (upper - marks[61, 1]) * np.clip(x, 0, 1) ** 2
    return np.asarray(
        (x < 1.05) & (height < edge) & (height > lower - 0.001) & (points[..., 2] > marks[61, 2] - 0.01)
    )


@dataclass(frozen=True)
class BrowStyle:
    """Parameters of brows.

    Attributes:
        thickness: relative to the distance between the landmarks' lines.
        arch: rise of the outer middle, in m.
        count: number of ribbons a side.
        length: of a ribbon, in m.
        blend: how far they take the color of skin, in [0, 1].
    """

    thickness: float = 1.0
    arch: float = 0.0
    count: int = 150
    length: float = 0.008
    blend: float = 0.12


BROWS = {
    "natural": BrowStyle(),
    "thick": BrowStyle(1.15, 0.0005, 220, 0.009),
    "thin": BrowStyle(0.4, 0.001, 110, 0.007),
    "arched": BrowStyle(0.7, 0.0035, 150),
    "straight": BrowStyle(0.75, -0.002, 150),
    "bushy": BrowStyle(1.25, 0.0, 230, 0.012),
    "faint": BrowStyle(0.7, 0.0, 80, 0.007, 0.35),
}
"""Styles of brows by name."""
BROW_STYLES = tuple(BROWS)
"""Names of the styles of brows."""


def make_brows(rng: np.random.Generator, rest: Floats, color: Floats, style: str | None = None) -> list[Part]:
    """Make a person's brows.

    Args:
        rng: source of randomness.
        rest: (V, 3), vertices at rest, in m.
        color: (3,), share of light reflected, linear RGB in [0, 1].
        style: one of `BROW_STYLES`; None for a random one.
    """
    look = BROWS[style or BROW_STYLES[rng.integers(len(BROW_STYLES))]]
    normals = skin_normals(rest)
    collider = body_collider(rest, normals, ears=False, spacing=0.003)
    marks = load_head().landmarks(rest)
    tint = np.asarray(color, np.float32) * (1 - look.blend) + look.blend * np.array(
        [0.35, 0.22, 0.16], np.float32
    )
    texture = strand_texture(rng, tint, 0.95, 0.3, 0.0, 0.5, 0.9)
    t = np.asarray(rng.uniform(0, 1, 2 * look.count) ** 1.1, np.float32)
    s = np.asarray(rng.uniform(-1, 1, 2 * look.count), np.float32)
    side = np.repeat((0, 1), look.count)
    roots, along, up = _brow_curve(marks, side, t, s, look)
    lean = np.interp(t, (0, 0.15, 0.5, 1), (0.25, 0.7, 1, 1))[:, None]
    rise = (
        np.interp(t, (0, 0.15, 0.5, 1), (1, 0.75, 0.25, 0.0))[:, None]
        - 0.45 * np.clip(t / 0.3, 0, 1)[:, None] * s[:, None]
    )
    course = normalize(np.asarray(lean * along + rise * up + rng.normal(0, 0.08, along.shape), np.float32))
    lengths = look.length * rng.uniform(0.6, 1.1, len(t)) * np.interp(t, (0, 0.2, 0.7, 1), (0.75, 1, 1, 0.65))
    steps = np.linspace(0, 1, 4)[None, :, None] * lengths[:, None, None]
    points = np.asarray(roots[:, None] + steps * course[:, None], np.float32)
    flat = points.reshape(-1, 3)
    height = np.tile(np.array([0.0001, 0.0012, 0.0014, 0.0008], np.float32), len(t))
    for _ in range(2):
        flat = collider.push(flat, height, height)
    _, outwards = collider.distance(flat)
    strands = Strands(
        flat.reshape(points.shape), outwards.reshape(points.shape), np.full(len(t), 3, np.int32)
    )
    widths = (rng.uniform(0.0016, 0.0026, len(t)) * np.interp(t, (0, 0.3, 1), (0.8, 1, 0.8))).astype(
        np.float32
    )
    bands = rng.integers(0, 4, len(t)).astype(np.int32)
    anchors = nearest_vertices(strands.points[:, 0], rest)
    return [hair_part(rng, strands, widths, bands, texture, 0.3, load_head().bones[anchors], anchors)]


def _brow_curve(
    marks: Floats, side: Ints, t: Floats, s: Floats, look: BrowStyle
) -> tuple[Floats, Floats, Floats]:
    """Locate points of brows, with the directions outwards along the brow and up across it, each (N, 3)."""
    upper, lower = marks[np.array(UPPER_BROW)], marks[np.array(LOWER_BROW)]
    middle = (upper + lower) / 2
    middle[..., 1] += np.array([0, 0.4, 1, 0.8, -0.2]) * look.arch
    half = (upper - lower) / 2 * look.thickness * np.array([0.85, 1, 0.9, 0.6, 0.25])[:, None]
    position = np.clip(t * 4, 0, 3.999)
    first = position.astype(int)
    rest = (position - first)[:, None]

    def at(curve: Floats) -> Floats:
        return np.asarray(curve[side, first] * (1 - rest) + curve[side, first + 1] * rest, np.float32)

    roots = at(middle) + s[:, None] * at(half)
    return roots, normalize(middle[side, first + 1] - middle[side, first]), normalize(at(half))
