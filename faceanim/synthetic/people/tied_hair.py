"""Ponytails, buns and braids: what becomes of hair beyond the place where it is tied."""

import numpy as np

from faceanim.synthetic.head import Floats
from faceanim.synthetic.people.scalp import Collider
from faceanim.synthetic.people.strands import Growth, Strands, grow, normalize, tangents


def make_ponytail(rng: np.random.Generator, collider: Collider, tie: Floats) -> Strands:
    """Let a tuft fall from a place at the back of the head, (3,)."""
    count, length = 170, rng.uniform(0.14, 0.26)
    start = collider.push(tie + rng.normal(0, 0.006, (count, 3)).astype(np.float32), 0.003)
    out = np.tile(np.array([0, 0.35, -1], np.float32), (count, 1))
    growth = Growth(9, stiffness=0.6, gravity=0.55, wander=0.08)
    lengths = (length * rng.uniform(0.7, 1.1, count)).astype(np.float32)
    layers = np.full(count, 0.004, np.float32)
    return grow(
        rng,
        collider,
        start,
        normalize(out),
        lengths,
        layers,
        np.ones_like(layers),
        lambda _: 0.3 * out,
        growth,
    )


def make_bun(rng: np.random.Generator, collider: Collider, tie: Floats) -> Strands:
    """Wind strands around a ball at a place, (3,)."""
    radius = float(rng.uniform(0.026, 0.036))
    center = collider.push(tie[None], 0.9 * radius, 0.9 * radius)[0]
    count, size = 260, 8
    axis = normalize(rng.normal(0, 0.35, (count, 3)).astype(np.float32) + np.array([0, 0.5, 1], np.float32))
    first = normalize(np.cross(axis, rng.normal(0, 1, (count, 3)).astype(np.float32)))
    second = np.cross(axis, first)
    height = rng.uniform(-0.95, 0.95, (count, 1, 1))
    angle = np.linspace(0, 2.2, size)[None, :, None] * rng.uniform(0.7, 1.2, (count, 1, 1))
    ring = np.sqrt(1 - height**2) * (np.cos(angle) * first[:, None] + np.sin(angle) * second[:, None])
    outwards = normalize(np.asarray(ring + height * axis[:, None], np.float32))
    points = np.asarray(center + radius * rng.uniform(0.85, 1.08, (count, 1, 1)) * outwards, np.float32)
    points = collider.push(points.reshape(-1, 3), 0.002).reshape(points.shape)
    return Strands(points, outwards, np.full(count, size - 1, np.int32))


def make_braids(rng: np.random.Generator, collider: Collider, tie: Floats) -> Strands:
    """Plait a braid from a place, (3,), and one from the opposite place, over the front of the shoulders."""
    sides = np.array([-1, 1], np.float32)
    start = np.asarray(np.stack([tie * (side, 1, 1) for side in sides]), np.float32)
    ahead = np.stack([0.25 * sides, np.full(2, -1.0), np.full(2, 0.75)], 1).astype(np.float32)
    length, radius = rng.uniform(0.20, 0.27), rng.uniform(0.008, 0.011)
    layers = np.full(2, radius + 0.006, np.float32)
    growth = Growth(12, stiffness=0.45, gravity=0.5, wander=0.01)
    lengths = np.full(2, length, np.float32)
    course = grow(
        rng, collider, start, normalize(ahead), lengths, layers, np.ones_like(layers), lambda _: ahead, growth
    )
    size, bundle = 40, 7
    place = np.linspace(0, growth.segments, size)
    low = np.minimum(place.astype(int), growth.segments - 1)
    share = (place - low)[None, :, None]
    middle = course.points[:, low] * (1 - share) + course.points[:, low + 1] * share
    across = normalize(np.cross(tangents(middle), course.normals[:, low]).astype(np.float32))
    outwards = normalize(np.cross(across, tangents(middle)).astype(np.float32))

    turn = np.linspace(0, length / (6.5 * radius) * 2 * np.pi, size)[None, None, :, None]
    phase = 2 * np.pi / 3 * np.arange(3)[None, :, None, None]
    taper = np.interp(np.linspace(0, 1, size), (0, 0.08, 0.8, 1), (0.7, 1, 0.85, 0.4))[None, None, :, None]
    across, outwards = across[:, None], outwards[:, None]
    strand = middle[:, None] + radius * taper * (
        np.sin(turn + phase) * across + 0.5 * np.sin(2 * (turn + phase)) * outwards
    )
    around = np.linspace(0, 2 * np.pi, bundle, endpoint=False)[None, None, :, None, None]
    normal = np.cos(around) * across[:, :, None] + np.sin(around) * outwards[:, :, None]
    points = strand[:, :, None] + 0.62 * radius * taper[:, :, None] * normal
    shape = (2 * 3 * bundle, size, 3)
    normals = np.broadcast_to(normal, points.shape)
    return Strands(
        np.asarray(points.reshape(shape), np.float32),
        np.asarray(normals.reshape(shape), np.float32),
        np.full(shape[0], size - 1, np.int32),
    )
