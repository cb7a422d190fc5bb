"""Glasses and earrings."""

from dataclasses import dataclass

import numpy as np

from faceanim.synthetic.head import Floats, load_head
from faceanim.synthetic.people.parts import Part
from faceanim.synthetic.people.scalp import Collider, body_collider, skin_normals
from faceanim.synthetic.people.shapes import (
    Mesh,
    ball,
    disc,
    noise_texture,
    paint,
    plain_part,
    random_color,
    tube,
)


@dataclass(frozen=True)
class Frame:
    """Parameters of glasses' frames.

    Attributes:
        size: width and height of a lens, in m.
        square: exponent of the outline, 2 for an ellipse.
        rise: lift of the outer upper corner, in m.
        drop: drop of the lower edge, in m, towards the nose for negative `lean`.
        taper: how much narrower the lower edge is, in [0, 1].
        radius: of the rim, in m.
        flat: depth of the rim relative to its height.
        metal: frames of metal rather than plastic.
    """

    size: tuple[float, float]
    square: float = 2.0
    rise: float = 0.0
    drop: float = 0.0
    taper: float = 0.0
    radius: float = 0.001
    flat: float = 1.0
    metal: bool = False


FRAMES = {
    "round": Frame((0.045, 0.043), radius=0.0009, metal=True),
    "rectangular": Frame((0.051, 0.031), 5.0, radius=0.0013, flat=1.2),
    "aviator": Frame((0.053, 0.045), 2.6, drop=0.005, taper=0.18, radius=0.0009, metal=True),
    "cat-eye": Frame((0.050, 0.034), 2.4, rise=0.017, taper=0.15, radius=0.0018, flat=1.2),
    "thin": Frame((0.048, 0.032), 3.2, radius=0.0005, metal=True),
    "thick": Frame((0.050, 0.038), 4.0, taper=0.12, radius=0.0026, flat=1.1),
    "panto": Frame((0.046, 0.041), 2.4, taper=0.1, radius=0.0018),
}
"""Shapes of glasses by name."""


def make_glasses(
    rng: np.random.Generator, rest: Floats, kind: str | None = None, sunglasses: bool | None = None
) -> list[Part]:
    """Make glasses that sit on a person's nose and ears.

    Args:
        rng: source of randomness.
        rest: (V, 3), vertices at rest, in m.
        kind: one of `FRAMES`; None for a random one.
        sunglasses: dark lenses that hide the eyes; None for one in sixteen. Clear lenses are left out.
    """
    frame = FRAMES[kind or list(FRAMES)[rng.integers(len(FRAMES))]]
    dark = bool(rng.random() < 1 / 16) if sunglasses is None else sunglasses
    marks = load_head().landmarks(rest)
    collider = body_collider(rest, skin_normals(rest), ears=False, spacing=0.003)
    scale = rng.uniform(0.94, 1.06)
    rims = [_rim(frame, marks, side, scale) for side in (-1, 1)]
    forward = max(_needed(collider, rim) for rim in rims)
    rims = [rim + np.array([0, 0, forward], np.float32) for rim in rims]
    meshes: list[Mesh] = [tube(rim, np.array([frame.radius]), 6, True, frame.flat) for rim in rims]
    meshes.append(_bridge(frame, rims, marks))
    if frame is FRAMES["aviator"]:
        meshes.append(_bar(frame, rims))
    meshes += [_temple(frame, rim, rest, collider, side) for rim, side in zip(rims, (-1, 1), strict=True)]
    parts = [plain_part(meshes, _frame_texture(rng, frame.metal), 0.6 if frame.metal else 0.4)]
    if dark:
        tint = rng.uniform(0.005, 0.03) * (1 + 0.5 * rng.random(3))
        lenses = [disc(rim, rim.mean(0) + np.array([0, 0, 0.001], np.float32)) for rim in rims]
        parts.append(plain_part(lenses, paint(tint), 0.9))
    return parts


def _rim(frame: Frame, marks: Floats, side: int, scale: float) -> Floats:
    """Draw the outline of a lens, (28, 3), from the outer middle upwards."""
    width, height = frame.size[0] * scale, frame.size[1] * scale
    corners = marks[[33, 133] if side < 0 else [263, 362]]
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    out, up = np.cos(angle), np.sin(angle)
    grow = (np.abs(out) ** frame.square + np.abs(up) ** frame.square) ** (-1 / frame.square)
    out, up = out * grow, up * grow
    out = out * (1 - frame.taper * np.clip(0.3 - up, 0, 1))
    y = (
        up * height / 2
        + frame.rise * np.clip(out, 0, 1) ** 2 * np.clip(up + 0.2, 0, 1)
        - frame.drop * np.clip(-up, 0, 1)
    )
    center = max(abs(float(corners[:, 0].mean())), width / 2 + 0.0085)
    x = center + out * width / 2
    z = corners[:, 2].max() + 0.010 - 0.011 * (x / 0.065) ** 2 + 0.10 * (y - 0.01)
    return np.stack([side * x, corners[:, 1].mean() - 0.002 + y, z], 1).astype(np.float32)


def _needed(collider: Collider, rim: Floats) -> float:
    """Compute how far forward a rim has to move to stay off the face, in m; it may touch the nose."""
    away, normals = collider.distance(rim)
    off_nose = np.abs(rim[:, 0]) > 0.016
    short = np.where(off_nose & (normals[:, 2] > 0.3), (0.0035 - away) / np.maximum(normals[:, 2], 0.3), 0)
    return float(np.clip(short.max(), 0, 0.012))


def _bridge(frame: Frame, rims: list[Floats], marks: Floats) -> Mesh:
    """Join the rims over the nose."""
    index = 11  # of the outline, at its inner upper quarter
    right, left = rims[0][index], rims[1][index]
    share = np.linspace(0, 1, 7)[:, None]
    path = right * (1 - share) + left * share
    bow = (4 * share * (1 - share))[:, 0]
    nose = marks[[168, 6, 197]]
    skin = float(np.interp(-right[1] - 0.002, -nose[:, 1], nose[:, 2]))
    path[:, 1] += 0.003 * bow
    path[:, 2] += bow * max(0.002, skin + 0.0025 + frame.radius - float(path[3, 2]))
    return tube(path.astype(np.float32), np.array([frame.radius * 1.1]), 6, False, frame.flat)


def _bar(frame: Frame, rims: list[Floats]) -> Mesh:
    path = np.linspace(rims[0][8], rims[1][8], 5)
    path[1:-1, 2] += 0.003
    return tube(path.astype(np.float32), np.array([frame.radius]), 6)


def _temple(frame: Frame, rim: Floats, rest: Floats, collider: Collider, side: int) -> Mesh:
    """Lead a bar from the outer end of a rim over the ear and down behind it."""
    ear = rest[(load_head().attributes[:, 2] > 0.5) & (rest[:, 0] * side > 0)]
    hinge = rim[3]
    top, back = float(ear[:, 1].max()) - 0.005, float(ear[:, 2].min())
    middle = float(ear[:, 2].mean())
    width = float(np.abs(ear[:, 0]).min()) + 0.004
    reach = max(width, abs(float(hinge[0])) + 0.002)
    path = np.array(
        [
            hinge,
            (side * (abs(hinge[0]) + 0.004), hinge[1], hinge[2] - 0.004),
            (
                side * (0.6 * abs(hinge[0]) + 0.4 * reach + 0.004),
                0.75 * hinge[1] + 0.25 * top,
                0.7 * hinge[2] + 0.3 * middle,
            ),
            (side * (reach + 0.002), 0.4 * hinge[1] + 0.6 * top, 0.35 * hinge[2] + 0.65 * middle),
            (side * (reach + 0.001), top, middle),
            (side * reach, top - 0.004, back - 0.001),
            (side * reach, top - 0.022, back - 0.008),
            (side * (reach - 0.002), top - 0.036, back - 0.010),
        ],
        np.float32,
    )
    path[2:] = collider.push(path[2:], 0.002 + frame.radius)
    return tube(
        path, np.linspace(1.0, 0.8, len(path), dtype=np.float32) * max(frame.radius, 0.0008), 6, False, 1.6
    )


def _frame_texture(rng: np.random.Generator, metal: bool) -> Floats:
    """Paint metal, black or colored plastic, or tortoiseshell."""
    if metal:
        colors = np.array([(0.55, 0.55, 0.56), (0.65, 0.45, 0.18), (0.05, 0.05, 0.05), (0.5, 0.33, 0.25)])
        return paint(colors[rng.integers(4)])
    choice = rng.random()
    if choice < 0.5:
        return paint(rng.uniform(0.008, 0.03) * np.ones(3))
    if choice < 0.8:
        return paint(np.array([0.12, 0.05, 0.018]), np.clip(0.9 * noise_texture(rng, 4, 2), -1.8, 1.0))
    return paint(random_color(rng))


def make_earrings(rng: np.random.Generator, rest: Floats, kind: str | None = None) -> list[Part]:
    """Make a pair of earrings: "stud", "hoop" or "drop"; None for a random kind."""
    kind = kind or ("stud", "hoop", "drop")[rng.integers(3)]
    colors = np.array([(0.75, 0.52, 0.2), (0.7, 0.7, 0.72), (0.6, 0.58, 0.52), random_color(rng)])
    color, size = colors[rng.integers(4)], rng.uniform(0.7, 1.3)
    meshes: list[Mesh] = []
    for side in (-1, 1):
        ear = rest[(load_head().attributes[:, 2] > 0.5) & (rest[:, 0] * side > 0)]
        lobe = ear[ear[:, 1] < ear[:, 1].min() + 0.008]
        outer = lobe[np.argsort(-side * lobe[:, 0])[:4]].mean(0)
        place = np.asarray(outer + np.array([side * 0.001, 0.001, 0]), np.float32)
        if kind == "hoop":
            angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
            radius = 0.012 * size
            ring = np.stack([0.25 * side * np.sin(angle), np.cos(angle) - 1, np.sin(angle)], 1) * radius
            meshes.append(tube(np.asarray(place + ring, np.float32), np.array([0.0011]), 5, True))
            continue
        meshes.append(ball(place, 0.0028 * size, 6, 8))
        if kind == "drop":
            end = place + np.array([0, -0.022 * size, 0], np.float32)
            meshes += [
                tube(np.stack([place, end]), np.array([0.0006]), 4),
                ball(end, 0.0045 * size, 7, 10, 1.5),
            ]
    return [plain_part(meshes, paint(color), 0.9)]
