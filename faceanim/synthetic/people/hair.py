"""Hair of heads: ribbons with a texture of strands, grown over the scalp in the manner of a style."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.head import Floats, load_head
from faceanim.synthetic.people.hair_styles import HAIR_STYLES, STYLES, HairStyle
from faceanim.synthetic.people.parts import Part
from faceanim.synthetic.people.scalp import (
    Face,
    Roots,
    body_collider,
    height_above_hairline,
    recede,
    scalp_roots,
    skin_normals,
    wave_noise,
)
from faceanim.synthetic.people.strands import (
    Flow,
    Strands,
    clump,
    curl,
    grow,
    hair_part,
    normalize,
    strand_texture,
)
from faceanim.synthetic.people.tied_hair import make_braids, make_bun, make_ponytail

__all__ = ["HAIR_STYLES", "make_hair", "scalp_coverage"]


def scalp_coverage(style: str, rest: Floats, recession: float = 0.0, seed: int = 0) -> Floats:
    """Compute how far the scalp is to be painted in the color of the hair, (V,) in [0, 1].

    Args:
        style: one of `HAIR_STYLES`.
        rest: (V, 3), vertices at rest; only their number counts, for the hairline is that of the model.
        recession: baldness, in [0, 1], as for `make_hair`.
        seed: of the hairline's irregularity.
    """
    head, look = load_head(), STYLES[style]
    height = recede(head.mean, height_above_hairline(head.mean), max(recession, look.recede))
    height = height + 0.003 * wave_noise(head.mean, 0.015, seed)
    edge = np.clip((height + 0.002) / 0.009, 0, 1)
    skin = np.zeros(len(rest), np.float32)
    skin[head.triangles[head.materials == 0]] = 1
    return np.asarray(
        look.coverage * edge * edge * (3 - 2 * edge) * skin * (head.attributes[:, 2] < 0.3), np.float32
    )


def make_hair(
    rng: np.random.Generator,
    style: str,
    rest: Floats,
    color: Floats,
    recession: float = 0.0,
    grey: float = 0.0,
    rim: tuple[float, float] | None = None,
) -> list[Part]:
    """Make a person's hair.

    Args:
        rng: source of randomness.
        style: one of `HAIR_STYLES`.
        rest: (V, 3), vertices at rest, in m.
        color: (3,), share of light reflected, linear RGB in [0, 1].
        recession: baldness, in [0, 1]; above 0.5 the top is bald, too.
        grey: share of grey strands, in [0, 1].
        rim: heights of a hat's rim in front and at the back, in m, above which hair is flat; None for no hat.
    """
    look = STYLES[style]
    if look.count == 0:
        return []
    look = replace(look, recede=max(look.recede, recession))
    person = _Person(rest, look)
    roots, height = _choose_roots(rng, look)
    texture = strand_texture(
        rng, np.asarray(color, np.float32), look.density, look.wave, grey, look.ragged, look.root
    )
    strands, widths, layers = _grow_style(rng, look, person, roots, height)
    strands = _finish(rng, look, person, strands, rim)
    bands = np.where(layers < np.quantile(layers, 0.3), 0, rng.integers(1, 4, len(layers))).astype(np.int32)
    alive = strands.ends > 0
    strands.keep(alive)
    bones = roots.on(load_head().bones)[alive] if look.hang is None else None
    twist = 0.45 if rim is None else 0.12
    parts = [hair_part(rng, strands, widths[alive], bands[alive], texture, twist, bones)]
    if look.gather is not None:
        parts.append(_tied(rng, style, person, texture))
    return parts


class _Person:
    """Skin, measures and combing of one person."""

    def __init__(self, rest: Floats, look: HairStyle) -> None:
        self.rest = rest
        self.normals = skin_normals(rest)
        self.collider = body_collider(rest, self.normals, ears=look.hang is not None)
        self.face = Face.measure(rest)
        gather = np.array(look.gather or (0, 0, 0), np.float32)
        self.tie = np.array([0, self.face.crown, 0], np.float32) + gather
        if look.gather is not None:
            for _ in range(3):
                self.tie = self.collider.push(self.tie[None], 0.008, 0.008)[0]

    def place_of_tie(self, roots: Floats) -> Floats:
        """Locate where hair is tied, (N, 3): in one place, or on each side of the head."""
        mirror = np.ones_like(roots)
        mirror[:, 0] = np.where(roots[:, 0] < 0, -1, 1)
        return np.asarray(self.tie * mirror, np.float32)


def _choose_roots(rng: np.random.Generator, look: HairStyle) -> tuple[Roots, Floats]:
    """Choose where hair is rooted, and the height of the roots above the hairline."""
    roots = scalp_roots()
    height = recede(roots.place, roots.height, look.recede)
    height = height + 0.003 * wave_noise(roots.place, 0.015, int(rng.integers(1 << 30)))
    thin = 0.004 + 0.008 * (look.hang is None) * (roots.place[:, 2] < 0)
    inside = np.flatnonzero(height > thin * rng.random(len(height)))[: look.count]
    return roots.take(inside), height[inside]


def _grow_style(
    rng: np.random.Generator, look: HairStyle, person: _Person, roots: Roots, height: Floats
) -> tuple[Strands, Floats, Floats]:
    """Grow the strands of a style; also their widths and their layers, (N,), in m."""
    count = len(height)
    points, normals = roots.on(person.rest), normalize(roots.on(person.normals))
    short = look.hang is None and look.gather is None
    top = np.clip((roots.place[:, 1] - 0.075) / 0.045, 0, 1)
    top = top * top * (3 - 2 * top)
    edge = np.clip(height / (0.012 + 0.03 * short * (roots.place[:, 2] < 0.03)), 0.3, 1)
    fringe = np.zeros(count, bool)
    if look.fringe:
        first = 0.045 + rng.normal(0, 0.008, count)
        fringe = (np.abs(roots.place[:, 0]) < 0.05) & (roots.place[:, 2] > first)
    lengths = look.sides + (look.top - look.sides) * top
    if look.hang is not None:
        lowest = person.face.chin - look.hang
        lengths = 1.3 * np.maximum(points[:, 1] - 0.04, 0) + np.minimum(points[:, 1], 0.04) - lowest + 0.02
        lengths = np.where(fringe, 0.062 + 1.1 * np.abs(0.085 - points[:, 2]), lengths)
    lengths = lengths * rng.uniform(0.75, 1.1, count) * (0.4 + 0.6 * edge if short else 1.0)
    depth = rng.random(count) ** 1.3
    layers = (look.layers[0] + depth * (look.layers[1] - look.layers[0])) * (0.25 + 0.75 * edge)
    layers = (
        layers * (0.5 + 0.5 * top if short and look.flow != "radial" else 1.0) * np.where(fringe, 0.4, 1.0)
    )
    lift = look.growth.lift * (0.25 * (look.hang is None) + 0.75 * top) * edge
    hug = np.full(count, look.growth.hug)
    if short and not look.curl[0]:
        hug = hug + (0.85 - hug) * np.clip((0.09 - roots.place[:, 1]) / 0.05, 0, 1)
    margins = rng.uniform(0, 0.012, count).astype(np.float32)
    widths = look.width * rng.uniform(0.6, 1.25, count) * (0.6 + 0.4 * edge) * np.where(depth < 0.3, 1.35, 1)
    flow = _flow(rng, look, person, fringe, points)
    strands = grow(
        rng, person.collider, points, normals, np.asarray(lengths, np.float32),
        np.asarray(layers, np.float32), np.asarray(lift, np.float32), flow, look.growth,
        lambda points: person.face.confine(points, margins), np.asarray(hug, np.float32),
    )  # fmt: skip
    return strands, np.asarray(widths, np.float32), np.asarray(layers, np.float32)


def _finish(
    rng: np.random.Generator,
    look: HairStyle,
    person: _Person,
    strands: Strands,
    rim: tuple[float, float] | None,
) -> Strands:
    """Clump, curl and trim strands."""
    face = person.face
    if look.clump and look.gather is None:
        clump(strands, max(2, len(strands.points) // 6), look.clump)
    if look.curl[0]:
        curl(rng, strands, *look.curl)
    flat = strands.points.reshape(-1, 3)
    away, normals = person.collider.distance(flat)
    ramp = np.tile(np.minimum(1, np.arange(strands.points.shape[1]) / 2), len(strands.points))
    change = np.maximum(0.002 * ramp - away, 0)
    if rim is not None:
        height = rim[1] + (rim[0] - rim[1]) * np.clip((flat[:, 2] - face.back) / (0.1 - face.back), 0, 1)
        above = np.clip((flat[:, 1] - height) / 0.02 + 1.4, 0, 1)
        change -= above * np.maximum(away + change - 0.002, 0)
    points = flat + change[:, None] * normals
    strands.points = np.asarray(points.reshape(strands.points.shape), np.float32)
    limit = face.brow + rng.normal(0.004 if look.hang is not None else 0.016, 0.004, (len(strands.points), 1))
    strands.cut(face.inside(strands.points, np.asarray(limit, np.float32), 0.003))
    if look.gather is not None:
        tie = person.place_of_tie(strands.points[:, 0])[:, None]
        distance = np.linalg.norm(strands.points - tie, axis=2)
        passed = np.arange(distance.shape[1]) > distance.argmin(1)[:, None]
        strands.cut((distance < 0.012) | passed)
    if look.hang is not None:
        spread = 0.005 + 0.1 * max(look.hang, 0)
        lowest = face.chin - look.hang + rng.normal(0, spread, (len(strands.points), 1))
        strands.cut(strands.points[..., 1] < lowest)
        if not look.fringe:  # lone strands across the forehead look like scratches
            strands.ends[face.inside(strands.points, face.brow + 0.03, 0.012).any(1)] = 0
    return strands


def _flow(
    rng: np.random.Generator, look: HairStyle, person: _Person, fringe: NDArray[np.bool_], roots: Floats
) -> Flow:
    """Build the direction in which a style is combed."""
    crown = np.array([rng.normal(0, 0.01), person.face.crown + 0.01, -0.05], np.float32)
    part = float(rng.choice((-1, 1)) * rng.uniform(0.02, 0.038))
    side = np.sign(-part)
    if look.flow == "curtain" and rng.random() < 0.5:
        part = float(rng.normal(0, 0.004))
    half = np.where(roots[:, 0] > part, 1, -1).astype(np.float32)
    blur = roots[:, 2] + rng.normal(0, 0.018, len(roots))
    forward_share = np.clip(0.5 + blur / 0.05, 0, 1)
    before = np.clip((blur - rng.choice((-1.0, 0.0, 0.0, 0.03))) / 0.02, -1, 1)
    slant = float(rng.uniform(-0.5, 0.5))

    def whorl(points: Floats) -> Floats:
        return normalize(points - crown) + np.array([0, -0.2, 0.25], np.float32)

    def back(points: Floats) -> Floats:
        down = np.clip(-points[:, 2] / 0.06, 0, 1.2)
        return np.stack([0.15 * np.sign(points[:, 0]), -0.25 - down, np.full(len(points), -1.0)], 1)

    def parted(points: Floats) -> Floats:
        top = np.clip((points[:, 1] - 0.07) / 0.04, 0, 1) * (side * half > 0)
        x = np.where(top > 0, side * top, half * 0.3)
        return np.stack([x, -0.9 + 0.6 * top, 0.25 * top - 0.35], 1)

    def quiff(points: Floats) -> Floats:
        front = np.clip((points[:, 2] - 0.03) / 0.05, 0, 1)
        top = np.clip((points[:, 1] - 0.085) / 0.03, 0, 1)
        return np.stack([0.3 * slant * top, 0.7 * front * top - (1 - top), np.full(len(points), -0.8)], 1)

    def radial(points: Floats) -> Floats:
        return normalize(points - np.array([0, 0.05, -0.005], np.float32)) * 1.5

    def curtain(points: Floats) -> Floats:
        ahead = np.clip((points[:, 2] + 0.06) / 0.06, 0, 1)
        top = np.clip((points[:, 1] - 0.06 + 0.02 * (points[:, 2] > 0.05)) / 0.05, 0, 1)
        low = np.clip((-0.02 - points[:, 1]) / 0.05, 0, 1)
        beside = forward_share * (1 - top) * (1 - low)
        x = half * (1.1 * top * ahead + 0.03 * (1 - top) * (1 - low))
        z = -0.35 * top + 0.35 * low * before + beside * np.clip((0.036 - points[:, 2]) / 0.03, -0.5, 0.3)
        result = np.stack([x, -1 + 0.75 * top * ahead, z], 1)
        forward = np.stack([0.3 * slant + 0 * x, -0.55 + 0 * x, 1 + 0 * x], 1)
        return np.where(fringe[:, None], forward, result)

    def tie(points: Floats) -> Floats:
        return person.place_of_tie(roots) - points

    flows: dict[str, Flow] = {
        "whorl": whorl, "back": back, "part": parted, "quiff": quiff, "radial": radial, "curtain": curtain,
        "tie": tie,
    }  # fmt: skip
    chosen = flows[look.flow]
    return lambda points: np.asarray(normalize(chosen(points)), np.float32)


def _tied(
    rng: np.random.Generator, style: str, person: _Person, texture: tuple[Floats, NDArray[np.uint8]]
) -> Part:
    """Make what hangs or sits where hair is tied."""
    makers = {"ponytail": make_ponytail, "bun": make_bun, "braids": make_braids}
    strands = makers[style](rng, person.collider, person.tie)
    count = len(strands.points)
    widths = rng.uniform(0.006, 0.011, count).astype(np.float32)
    return hair_part(rng, strands, widths, rng.integers(0, 4, count).astype(np.int32), texture, 0.3)
