"""Strands of hair: curves that grow over a body, and ribbons of triangles along them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.head import HAIR, Floats, Ints
from faceanim.synthetic.people.parts import TEXTURE_SIDE, Part
from faceanim.synthetic.people.scalp import Collider

BANDS = 4
"""Number of strips side by side in a hair texture; the first is for the hair underneath."""

Flow = Callable[[Floats], Floats]
"""Direction in which hair is combed, (N, 3), at points, (N, 3)."""


@dataclass
class Strands:
    """Curves of equally many points.

    Attributes:
        points: (N, S + 1, 3), from the root to the tip, in m.
        normals: (N, S + 1, 3), away from the skin.
        ends: (N,), index of the last point that counts; what is beyond is cut off.
    """

    points: Floats
    normals: Floats
    ends: Ints

    def cut(self, beyond: NDArray[np.bool_]) -> None:
        """End strands before the first point that is `beyond`, (N, S + 1)."""
        first = np.where(beyond.any(1), beyond.argmax(1) - 1, self.points.shape[1] - 1)
        self.ends = np.minimum(self.ends, first).astype(np.int32)

    def keep(self, chosen: NDArray[np.bool_]) -> None:
        """Drop the other strands."""
        self.points, self.normals, self.ends = self.points[chosen], self.normals[chosen], self.ends[chosen]


@dataclass(frozen=True)
class Growth:
    """Manner in which hair grows.

    Attributes:
        segments: number of segments of a strand.
        lift: share of the direction away from the skin at the root, on top of the head.
        stiffness: how much of its direction a strand keeps from segment to segment, in [0, 1).
        gravity: pull downwards.
        wander: random change of direction.
        hug: how far strands are pulled back to their layer, in [0, 1].
        loose: height below which they are not pulled back any more, in m.
    """

    segments: int = 7
    lift: float = 0.5
    stiffness: float = 0.5
    gravity: float = 0.15
    wander: float = 0.12
    hug: float = 0.0
    loose: float = -0.08


def normalize(vectors: Floats) -> Floats:
    """Scale vectors, (..., 3), to unit length."""
    length = np.sqrt(np.einsum("...c,...c->...", vectors, vectors))[..., None]
    return np.asarray(vectors / np.maximum(length, 1e-9), np.float32)


def grow(
    rng: np.random.Generator,
    collider: Collider,
    roots: Floats,
    normals: Floats,
    lengths: Floats,
    layers: Floats,
    lift: Floats,
    flow: Flow,
    growth: Growth,
    confine: Flow | None = None,
    hug: Floats | float | None = None,
) -> Strands:
    """Grow strands over a body.

    Args:
        rng: source of randomness.
        collider: body that they stay outside of.
        roots: (N, 3), in m.
        normals: (N, 3), at the roots.
        lengths: (N,), in m.
        layers: (N,), least distance of each strand from the skin once it has left its root, in m.
        lift: (N,), share of the direction away from the skin at the root.
        flow: direction in which they are combed.
        growth: manner in which they grow.
        confine: moves points, (N, 3), out of where hair may not be.
        hug: (N,), as in `Growth`, for each strand; by default the same for all.
    """
    pace = np.minimum(1, 0.4 + 0.25 * np.arange(growth.segments))
    steps = lengths[:, None] * (pace / pace.sum())
    points, outwards = [roots + normals * np.float32(0.0005)], [normals]
    wish = _tangential(flow(roots), normals)
    direction = normalize(wish + lift[:, None] * normals)
    hug = growth.hug if hug is None else hug
    drift = rng.normal(0, growth.wander, roots.shape).astype(np.float32)
    down = np.array([0, -growth.gravity, 0], np.float32)
    normal = normals
    for k in range(growth.segments):
        position = np.asarray(points[-1] + direction * steps[:, k : k + 1], np.float32)
        away, normal = collider.distance(position)
        target = layers * min(1.0, (k + 1) / 2)
        change = np.maximum(target - away, 0)
        change -= hug * np.clip((position[:, 1] - growth.loose) / 0.05, 0, 1) * np.maximum(away - target, 0)
        position = np.asarray(position + change[:, None] * normal, np.float32)
        if confine is not None:
            position = confine(position)
        points.append(position)
        outwards.append(normal)
        travelled = normalize(position - points[-2])
        close = np.clip(2 - (away + change) / np.maximum(layers + 0.004, 1e-4), 0, 1)[:, None]
        wish = flow(position)
        wish = wish - close * normal * np.einsum("nc,nc->n", wish, normal)[:, None]
        noise = drift + rng.normal(0, growth.wander / 2, roots.shape).astype(np.float32)
        direction = normalize(growth.stiffness * travelled + (1 - growth.stiffness) * wish + down + noise)
    ends = np.full(len(roots), growth.segments, np.int32)
    return Strands(np.stack(points, 1).astype(np.float32), np.stack(outwards, 1).astype(np.float32), ends)


def _tangential(vectors: Floats, normals: Floats) -> Floats:
    return normalize(vectors - normals * np.einsum("nc,nc->n", vectors, normals)[:, None])


def tangents(points: Floats) -> Floats:
    """Compute unit vectors along curves, (N, S + 1, 3)."""
    result = np.empty_like(points)
    result[:, 1:-1] = points[:, 2:] - points[:, :-2]
    result[:, 0], result[:, -1] = points[:, 1] - points[:, 0], points[:, -1] - points[:, -2]
    return normalize(result)


def clump(strands: Strands, groups: int, strength: float) -> None:
    """Draw the tips of neighboring strands together, the more the nearer to the tip."""
    roots = strands.points[:, 0]
    leader = np.argmin(((roots[:, None] - roots[None, :groups]) ** 2).sum(-1), 1)
    share = strength * np.linspace(0, 1, strands.points.shape[1], dtype=np.float32)[None, :, None] ** 1.2
    strands.points += share * (strands.points[leader] - strands.points)


def curl(rng: np.random.Generator, strands: Strands, radius: float, wavelength: float) -> None:
    """Wind strands around their course, each in a phase that it shares with its neighbors in part."""
    points, count = strands.points, len(strands.points)
    lengths = np.linalg.norm(np.diff(points, axis=1), axis=2)
    arc = np.concatenate([np.zeros((count, 1), np.float32), lengths.cumsum(1)], 1)
    pace = wavelength * rng.uniform(0.75, 1.3, (count, 1))
    angle = 2 * np.pi * arc / pace + rng.uniform(0, 2 * np.pi, (count, 1))
    size = (radius * rng.uniform(0.5, 1.3, (count, 1)) * np.clip(arc / (0.8 * wavelength), 0, 1))[..., None]
    side = normalize(np.cross(tangents(points), strands.normals))
    offset = size * (np.cos(angle)[..., None] * side + 0.7 * np.sin(angle)[..., None] * strands.normals)
    strands.points = np.asarray(points + offset, np.float32)


def ribbons(
    rng: np.random.Generator, strands: Strands, widths: Floats, twist: float, bands: Ints
) -> tuple[Floats, Floats, Ints, Floats]:
    """Span ribbons along strands.

    Args:
        rng: source of randomness.
        strands: curves.
        widths: (N,), in m.
        twist: standard deviation of the angle between ribbon and skin, in radians.
        bands: (N,), which strip of the texture each ribbon shows.

    Returns:
        Points (2 N (S + 1), 3), directions alike, triangles (T, 3) and their texture coordinates (T, 3, 2).
    """
    count, size = strands.points.shape[:2]
    along = tangents(strands.points)
    across = normalize(np.cross(along, strands.normals))
    upright = normalize(np.cross(across, along))
    angle = rng.normal(0, twist, (count, 1)) + rng.normal(0, twist / 2, (count, 1)) * np.linspace(-1, 1, size)
    across = across * np.cos(angle)[..., None] + upright * np.sin(angle)[..., None]
    profile = np.interp(np.linspace(0, 1, size), (0, 0.2, 0.6, 1), (0.7, 1, 1, 0.55)).astype(np.float32)
    half = (widths[:, None] * profile / 2)[..., None] * across
    points = np.stack([strands.points - half, strands.points + half], 2).reshape(-1, 3)
    directions = np.repeat(along.reshape(-1, 3), 2, 0)

    steps = np.arange(size)
    v = np.clip(steps / np.maximum(strands.ends, 1)[:, None], 0.004, 0.996)
    flip = np.asarray(rng.random(count) < 0.5)
    edges = (bands[:, None] + np.where(flip[:, None], (0.97, 0.03), (0.03, 0.97))) / BANDS
    uv = np.stack([np.broadcast_to(edges[:, None], (count, size, 2)), np.repeat(v[..., None], 2, 2)], -1)
    uv = uv.reshape(-1, 2)
    segments = np.arange(count)[:, None] * size + steps[:-1]
    first = 2 * segments[steps[None, :-1] < strands.ends[:, None]]
    triangles = np.stack([first, first + 1, first + 2, first + 1, first + 3, first + 2], 1).reshape(-1, 3)
    return (
        np.asarray(points, np.float32), np.asarray(directions, np.float32),
        triangles.astype(np.int32), uv[triangles].astype(np.float32),
    )  # fmt: skip


def hair_part(
    rng: np.random.Generator,
    strands: Strands,
    widths: Floats,
    bands: Ints,
    texture: tuple[Floats, NDArray[np.uint8]],
    twist: float = 0.4,
    bones: Floats | None = None,
    anchors: Ints | None = None,
) -> Part:
    """Make a part of ribbons along strands.

    Args:
        rng: source of randomness.
        strands: curves.
        widths: (N,), in m.
        bands: (N,), which strip of the texture each ribbon shows.
        texture: albedo and opacity, from `strand_texture`.
        twist: standard deviation of the angle between ribbon and skin, in radians.
        bones: (N, 2), share of the head's and the neck's motion in each root's; None for hair that hangs.
        anchors: (N,), vertex of the head model whose expression each strand follows; None for none.
    """
    points, directions, triangles, uv = ribbons(rng, strands, widths, twist, bands)
    count = 2 * strands.points.shape[1]
    shares = hanging_bones(points) if bones is None else np.repeat(bones, count, 0).astype(np.float32)
    each = None if anchors is None else np.repeat(anchors, count)
    return Part(points, directions, shares, triangles, uv, *texture, HAIR, anchors=each)


def hanging_bones(points: Floats) -> Floats:
    """Share out the motion of what hangs down, (V, 2): the lower, the more it rests on the torso."""
    fall = np.clip((-0.045 - points[:, 1]) / 0.13, 0, 1)
    fall = fall * fall * (3 - 2 * fall)
    return np.stack([1 - fall, fall * (1 - fall)], 1).astype(np.float32)


def strand_texture(
    rng: np.random.Generator,
    color: Floats,
    density: float = 0.8,
    wave: float = 0.0,
    grey: float = 0.0,
    ragged: float = 0.35,
    root: float = 0.5,
) -> tuple[Floats, NDArray[np.uint8]]:
    """Paint strands of hair, the root at the upper edge, in four strips, the first denser and darker.

    Args:
        rng: source of randomness.
        color: (3,), share of light reflected, linear RGB in [0, 1].
        density: share of a ribbon that is covered at its middle, in [0, 1].
        wave: amplitude of the strands' waves, in pixels.
        grey: share of grey strands, in [0, 1].
        ragged: part of the length over which strands end, in (0, 1].
        root: lightness at the root, relative to the rest.

    Returns:
        Albedo (128, 128, 3) in [0, 1] and opacity (128, 128) from 0 to 255.
    """
    side, width = TEXTURE_SIDE, TEXTURE_SIDE // BANDS
    v = np.linspace(0, 1, side, dtype=np.float32)[:, None]
    u = np.arange(width, dtype=np.float32)[None]
    albedo, opacity = np.zeros((side, side, 3), np.float32), np.zeros((side, side), np.uint8)
    for band in range(BANDS):
        tone = color * np.exp(rng.normal(0, 0.08) + rng.normal(0, 0.03, 3)).astype(np.float32)
        dim = 0.6 if band == 0 else 1.0
        shade = root + (1.05 - root) * np.clip(v / 0.35, 0, 1)
        patch = np.broadcast_to(tone * dim, (side, width, 3)).copy()
        cover = np.zeros((side, width), bool)
        number = 13 if band == 0 else 9
        for center in (np.arange(number) + rng.uniform(0.2, 0.8, number)) * width / number:
            sway = wave * np.sin(v * rng.uniform(10, 22) + rng.uniform(0, 6.3)) + rng.normal(0, 1.2) * v
            end, start = 1 - ragged * rng.uniform(0, 0.8), rng.uniform(-0.05, 0.05)
            taper = np.clip((end - v) / ragged, 0, 1) ** 0.7 * np.clip((v - start) / 0.08 + 0.3, 0, 1)
            half = width / number * density * rng.uniform(0.5, 0.95) * (taper * (1.15 - 0.4 * v))
            inside = (np.abs(u - center - sway) < half) & (v < end) & (v >= start)
            light = np.exp(rng.normal(0, 0.17)) * tone * dim
            if rng.random() < grey:
                light = 0.6 * light + 0.11 * np.ones(3, np.float32)
            patch = np.where(inside[..., None], light, patch)
            cover |= inside
        albedo[:, band * width : (band + 1) * width] = patch * shade[..., None]
        opacity[:, band * width : (band + 1) * width] = np.where(cover, 255, 0)
    return np.clip(albedo, 0, 1), opacity
