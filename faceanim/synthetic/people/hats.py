"""Hats, scarves and headphones."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from faceanim.synthetic.head import Floats, load_head
from faceanim.synthetic.people.headwear import COLUMNS, Wearer, interpolate_thickness
from faceanim.synthetic.people.parts import Part
from faceanim.synthetic.people.scalp import Face, body_collider, nearest_vertices, skin_normals
from faceanim.synthetic.people.shapes import (
    Mesh,
    ball,
    cloth_texture,
    paint,
    plain_part,
    random_color,
    sheet,
    tube,
)
from faceanim.synthetic.people.strands import hanging_bones

_FLAT = ("bald", "shaved", "buzz", "crop", "receding", "slicked")
_HANGING = ("bob", "long", "wavy", "long curly")


@dataclass(frozen=True)
class Fit:
    """Hair that goes with a hat.

    Attributes:
        hair: styles that may be worn under it.
        rim: height of its rim in front and at the back, above the brows, in m; None if hair keeps its form.
    """

    hair: tuple[str, ...]
    rim: tuple[float, float] | None


HATS = {
    "beanie": Fit(_FLAT + _HANGING, (0.030, -0.030)),
    "cap": Fit((*_FLAT, *_HANGING, "side part", "ponytail"), (0.036, -0.005)),
    "brimmed": Fit((*_FLAT, *_HANGING, "side part"), (0.036, 0.000)),
    "hijab": Fit(("bald",), (0.030, -0.10)),
    "turban": Fit(("bald", "shaved", "buzz", "crop"), (0.030, -0.035)),
    "headband": Fit(("shaved", "buzz", "slicked", "ponytail", "bun"), (0.030, -0.04)),
    "headphones": Fit((*_FLAT, "ponytail", "bun"), None),
}
"""Hats and the like by name."""
HAT_KINDS = tuple(HATS)
"""Names of what is worn on heads."""


def hat_rim(kind: str, rest: Floats) -> tuple[float, float] | None:
    """Compute the heights of a hat's rim in front and at the back, in m, for `make_hair`; None for none."""
    rim = HATS[kind].rim
    if rim is None:
        return None
    brow = Face.measure(rest).brow
    return brow + rim[0], brow + rim[1]


def make_hat(rng: np.random.Generator, rest: Floats, kind: str | None = None) -> list[Part]:
    """Make what a person wears on the head.

    Args:
        rng: source of randomness.
        rest: (V, 3), vertices at rest, in m.
        kind: one of `HAT_KINDS`; None for a random one. `HATS` has the hair that goes with it.
    """
    kind = kind or HAT_KINDS[rng.integers(len(HAT_KINDS))]
    makers: dict[str, Callable[[np.random.Generator, Wearer], list[Part]]] = {
        "beanie": _beanie, "cap": _cap, "brimmed": _brimmed, "hijab": _hijab, "turban": _turban,
        "headband": _headband, "headphones": _headphones,
    }  # fmt: skip
    return makers[kind](rng, Wearer(rest))


def _rim_of(kind: str) -> tuple[float, float]:
    rim = HATS[kind].rim
    assert rim is not None
    return rim


def _beanie(rng: np.random.Generator, wearer: Wearer) -> list[Part]:
    rows = 18
    skin, outwards = wearer.cover(rows, _rim_of("beanie"))
    slouch = rng.uniform(0.012, 0.035)
    thick = interpolate_thickness(
        rows, (0, slouch), (0.3, 0.8 * slouch), (0.68, 0.010), (0.69, 0.014), (0.97, 0.014), (1, 0.004)
    )
    dome = skin + thick * outwards
    dome[..., 2] -= (slouch - 0.012) * np.linspace(1, 0, rows)[:, None]
    meshes = [sheet(dome, (5, 2), closed=True)]
    parts = [plain_part(meshes, cloth_texture(rng, random_color(rng), "knit"), 0.0)]
    if rng.random() < 0.25:
        tuft = ball(dome[0].mean(0) + np.array([0, 0.015, 0], np.float32), 0.024)
        parts.append(plain_part([tuft], cloth_texture(rng, random_color(rng), "felt"), 0.0))
    return parts


def _cap(rng: np.random.Generator, wearer: Wearer) -> list[Part]:
    rows = 14
    skin, outwards = wearer.cover(rows, _rim_of("cap"))
    thick = interpolate_thickness(rows, (0, 0.014), (0.4, 0.014), (0.9, 0.009), (1, 0.007))
    dome = skin + thick * outwards
    angle = np.linspace(-1.0, 1.0, 15)
    columns = angle / (2 * np.pi) * COLUMNS
    low = np.floor(columns).astype(int)
    share = (columns - low)[:, None]
    edge = dome[-2, low % COLUMNS] * (1 - share) + dome[-2, (low + 1) % COLUMNS] * share
    out = np.linspace(0, 1, 6)[:, None]
    reach = rng.uniform(0.055, 0.07) * np.cos(angle / 1.0 * 0.5 * np.pi * 0.92) ** 0.6
    droop = rng.uniform(0.1, 0.4)
    bend = rng.uniform(0.5, 2.5) * edge[:, 0] ** 2
    visor = np.stack(
        [
            np.broadcast_to(edge[:, 0], (6, 15)) * (1 + 0.05 * out),
            edge[:, 1] - out * reach * droop - bend * np.minimum(1, 2 * out),
            edge[:, 2] + out * reach,
        ],
        -1,
    )
    color = random_color(rng)
    texture = cloth_texture(rng, color, "woven")
    parts = [
        plain_part(
            [sheet(dome, (2, 1), closed=True), ball(dome[0].mean(0), 0.007, 6, 10, 0.6)], texture, 0.02
        )
    ]
    under = visor - np.array([0, 0.0025, 0])
    meshes = [sheet(visor[::-1].astype(np.float32)), sheet(under.astype(np.float32))]
    meshes.append(sheet(np.stack([visor[-1], under[-1]]).astype(np.float32)))
    shade = texture if rng.random() < 0.6 else cloth_texture(rng, random_color(rng), "woven")
    return [*parts, plain_part(meshes, shade, 0.02)]


def _brimmed(rng: np.random.Generator, wearer: Wearer) -> list[Part]:
    rows = 14
    skin, outwards = wearer.cover(rows, _rim_of("brimmed"))
    dome = skin + interpolate_thickness(rows, (0, 0.012), (0.6, 0.012), (1, 0.008)) * outwards
    top = wearer.face.crown + rng.uniform(0.025, 0.05)
    share = np.linspace(1, 0, rows)[:, None] ** 0.55
    dome[..., 1] += (top - dome[0, :, 1].mean()) * np.clip(share * 1.6, 0, 1)
    dome[: rows // 2, :, 0] = dome[: rows // 2, :, 0] * np.linspace(1.0, 1.12, rows // 2)[:, None]
    dent = (
        rng.uniform(0.0, 0.025)
        * np.exp(-((dome[..., 0] / 0.02) ** 2))
        * np.linspace(1, 0, rows)[:, None] ** 2
    )
    dome[..., 1] -= dent
    width = rng.uniform(0.045, 0.085)
    angle = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False, dtype=np.float32)
    out = np.linspace(0, 1, 6)[:, None, None]
    flat = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], -1)
    curl = rng.uniform(-0.15, 0.35)
    brim = dome[-1] + out * width * flat
    brim[..., 1] += width * out[..., 0] ** 2 * (curl * np.abs(np.sin(angle)) - 0.25 * np.cos(angle) ** 2)
    felt = cloth_texture(rng, random_color(rng), str(rng.choice(("felt", "woven"))))
    meshes = [sheet(dome, (3, 1), closed=True), sheet(brim.astype(np.float32), (3, 1), closed=True)]
    ribbon = dome[-4:] + 0.0012 * outwards[-4:]
    return [
        plain_part(meshes, felt, 0.0),
        plain_part([sheet(ribbon.astype(np.float32), closed=True)], paint(random_color(rng)), 0.05),
    ]


def _turban(rng: np.random.Generator, wearer: Wearer) -> list[Part]:
    rows = 26
    skin, outwards = wearer.cover(rows, _rim_of("turban"))
    thick = interpolate_thickness(rows, (0, 0.025), (0.5, 0.04), (0.85, 0.026), (1, 0.006))
    angle = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False, dtype=np.float32)
    lay = (
        np.linspace(0, 1, rows)[:, None] * 7 - 0.9 * np.abs(np.sin(angle / 2 + rng.normal(0, 0.1)))[None] * 2
    )
    ridge = (0.0045 * np.abs(np.sin(np.pi * lay)) * np.linspace(0.3, 1, rows)[:, None])[..., None]
    dome = skin + (thick + ridge) * outwards
    return [plain_part([sheet(dome.astype(np.float32), (3, 2), closed=True)], _scarf(rng), 0.0)]


def _scarf(rng: np.random.Generator) -> Floats:
    return cloth_texture(
        rng,
        random_color(rng),
        str(rng.choice(("woven", "felt", "striped", "dotted"), p=(0.5, 0.3, 0.1, 0.1))),
    )


def _hijab(rng: np.random.Generator, wearer: Wearer) -> list[Part]:
    face, rows = wearer.face, 22
    texture = _scarf(rng)
    marks = load_head().landmarks(wearer.rest)
    center = np.array([0, 0.03, 0.0], np.float32)
    around = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False)
    forehead, chin = face.brow + rng.uniform(0.028, 0.04) - center[1], face.chin - 0.006 - center[1]
    up = np.cos(around)
    height = np.where(up > 0, forehead, -chin) * up
    wide = (marks[454, 0] - 0.002) * np.sin(around)
    depth = np.where(up > 0, 0.038 + 0.045 * up**2, 0.038 + 0.028 * up**2)
    edge = np.arctan2(np.hypot(height, wide), depth)
    polar = edge + np.linspace(0, 1, rows)[:, None] * (np.pi - edge)
    ring = np.arctan2(wide, height)
    directions = np.stack([np.sin(polar) * np.sin(ring), np.sin(polar) * np.cos(ring), np.cos(polar)], -1)
    skin, outwards = wearer.lay(directions.astype(np.float32), center)
    fold = 0.0015 * np.sin(3 * around + 9 * np.linspace(0, 1, rows)[:, None] + rng.uniform(0, 6))
    hood = (
        skin
        + (interpolate_thickness(rows, (0, 0.003), (0.12, 0.009), (0.5, 0.016), (1, 0.02)) + fold[..., None])
        * outwards
    )
    covered = body_collider(wearer.rest, skin_normals(wearer.rest), ears=True)
    flat = covered.push(hood.reshape(-1, 3).astype(np.float32), 0.007)
    cloth = sheet(flat.reshape(hood.shape), (3, 3), closed=True)
    cowl = _cowl(rng, wearer)
    return [
        plain_part([cloth], texture, 0.0, hanging_bones(cloth[0]), nearest_vertices(cloth[0], wearer.rest)),
        plain_part([cowl], texture, 0.0, _bones_under(cowl[0].reshape(22, -1, 3), wearer.rest)),
    ]


def _cowl(rng: np.random.Generator, wearer: Wearer) -> Mesh:
    """Lay cloth around the neck, from the chin to the chest."""
    rows = 22
    angle = np.linspace(0, 2 * np.pi, 56, endpoint=False)
    share = np.linspace(0, 1, rows)[:, None]
    top = wearer.face.chin + 0.008 + 0.02 * (1 - np.cos(angle)) / 2
    bottom = -0.23 - 0.05 * np.cos(angle)
    y = top + share * (bottom - top)
    radius = 0.066 + 0.075 * share**1.5
    middle = 0.012 - 0.03 * share
    rings = np.stack([1.12 * radius * np.sin(angle), y, middle + radius * np.cos(angle)], -1)
    flat = rings.reshape(-1, 3).astype(np.float32)
    for _ in range(3):
        flat = wearer.collider.push(flat, 0.008)
    points = np.asarray(flat.reshape(rings.shape), np.float64)
    for _ in range(2):
        points = 0.5 * points + 0.25 * (np.roll(points, 1, 1) + np.roll(points, -1, 1))
        points[1:-1] = 0.5 * points[1:-1] + 0.25 * (points[:-2] + points[2:])
    drape = np.sin(2 * np.pi * (4.5 * share + 0.9 * np.cos(angle - rng.uniform(-0.6, 0.6))))
    drape *= np.minimum(1, 6 * share)
    outward = np.stack([np.sin(angle), 0.2 + 0 * angle, np.cos(angle)], -1)
    draped = points + (0.005 + 0.0045 * drape)[..., None] * outward
    flat = wearer.collider.push(draped.reshape(-1, 3).astype(np.float32), 0.009)
    return sheet(flat.reshape(rings.shape), (4, 3), closed=True)


def _bones_under(grid: Floats, rest: Floats) -> Floats:
    """Take the shares of motion, (R * C, 2), from the skin under a sheet, (R, C, 3), and smooth them."""
    nearest = nearest_vertices(grid.reshape(-1, 3), rest)
    shares = load_head().bones[nearest].reshape(*grid.shape[:2], 2)
    for _ in range(6):
        shares = 0.5 * shares + 0.25 * (np.roll(shares, 1, 1) + np.roll(shares, -1, 1))
        shares[1:-1] = 0.5 * shares[1:-1] + 0.25 * (shares[:-2] + shares[2:])
    return np.asarray(shares.reshape(-1, 2), np.float32)


def _headband(rng: np.random.Generator, wearer: Wearer) -> list[Part]:
    width = rng.uniform(0.018, 0.05)
    rows = 5
    lower = (0.036, -0.03)
    upper = (0.036 + width, -0.03 + 0.8 * width)
    angle = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False, dtype=np.float32)
    share = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    heights = wearer.rim_height(angle, upper) * (1 - share) + wearer.rim_height(angle, lower) * share
    elevation = np.arctan2(heights - wearer.center[1], 0.09)
    directions = np.stack(
        [np.cos(elevation) * np.sin(angle), np.sin(elevation), np.cos(elevation) * np.cos(angle)], -1
    )
    skin, outwards = wearer.lay(directions.astype(np.float32))
    band = skin + interpolate_thickness(rows, (0, 0.004), (0.2, 0.011), (0.8, 0.011), (1, 0.003)) * outwards
    return [plain_part([sheet(band.astype(np.float32), (4, 1), closed=True)], _scarf(rng), 0.0)]


def _headphones(rng: np.random.Generator, wearer: Wearer) -> list[Part]:
    ears = load_head().attributes[:, 2] > 0.5
    meshes, pads, cups = [], [], []
    for side in (-1, 1):
        ear = wearer.rest[ears & (wearer.rest[:, 0] * side > 0)]
        middle = np.array(
            [side * float(np.abs(ear[:, 0]).max()), float(ear[:, 1].mean()), float(ear[:, 2].mean()) + 0.003]
        )
        out = np.array([-0.014, -0.012, 0.002, 0.004, 0.004, 0.018, 0.022, 0.022])
        size = np.array([0.030, 0.036, 0.037, 0.034, 0.031, 0.030, 0.024, 0.001])
        angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        rings = np.stack(
            [
                np.broadcast_to(middle[0] + side * out[:, None], (8, 20)),
                middle[1] + 1.12 * size[:, None] * np.cos(angle),
                middle[2] + 0.95 * size[:, None] * np.sin(angle),
            ],
            -1,
        ).astype(np.float32)
        pads.append(sheet(rings[:4], closed=True))
        meshes.append(sheet(rings[3:], closed=True))
        cups.append(middle + np.array([side * 0.012, 0.028, -0.004]))
    turn = np.linspace(0, np.pi, 19)
    high = wearer.face.crown + 0.016 - cups[0][1]
    arc = np.stack(
        [
            -cups[1][0] * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 1.2,
            cups[0][1] + high * np.sin(turn) ** 0.75,
            np.full(19, (cups[0][2] + cups[1][2]) / 2),
        ],
        1,
    )
    meshes.append(
        tube(
            arc.astype(np.float32),
            np.interp(turn, (0, 0.6, 2.5, 3.15), (0.006, 0.009, 0.009, 0.006)).astype(np.float32),
            8,
            flat=1.6,
        )
    )
    body = paint(rng.choice((0.015, 0.03, 0.5)) * np.ones(3) if rng.random() < 0.7 else random_color(rng))
    return [plain_part(meshes, body, 0.35), plain_part(pads, paint(0.02 * np.ones(3)), 0.1)]
