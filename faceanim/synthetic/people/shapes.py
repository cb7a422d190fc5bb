"""Solid things from tubes and sheets: frames of glasses, hats, microphones."""

import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.head import PLAIN, Floats, Ints
from faceanim.synthetic.people.parts import TEXTURE_SIDE, Part
from faceanim.synthetic.people.strands import normalize

Mesh = tuple[Floats, Ints, Floats]
"""Points (V, 3) in m, triangles (T, 3), texture coordinates of their corners (T, 3, 2)."""


def sheet(points: Floats, repeat: tuple[float, float] = (1, 1), closed: bool = False) -> Mesh:
    """Span a grid of points, (R, C, 3), with triangles.

    Args:
        points: rows and columns, in m; seen from outside, rows run down and columns to the right.
        repeat: how often the texture repeats along the columns and along the rows.
        closed: the last column joins the first.
    """
    rows, columns = points.shape[:2]
    if closed:
        points, columns = np.concatenate([points, points[:, :1]], 1), columns + 1
    u, v = np.meshgrid(np.linspace(0, repeat[0], columns), np.linspace(0, repeat[1], rows))
    uv = np.stack([u, v], -1).reshape(-1, 2).astype(np.float32)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    below = corner + columns
    halves = [np.stack([corner, below, corner + 1], 1), np.stack([corner + 1, below, below + 1], 1)]
    triangles = np.concatenate(halves).astype(np.int32)
    return np.asarray(points.reshape(-1, 3), np.float32), triangles, uv[triangles]


def tube(path: Floats, radii: Floats, sides: int = 6, closed: bool = False, flat: float = 1.0) -> Mesh:
    """Sweep a circle along a path.

    Args:
        path: (N, 3), in m.
        radii: (N,) or (1,), in m.
        sides: number of sides.
        closed: the end of the path joins its beginning.
        flat: extent of the cross-section along z, or y where the path runs along z, relative to its width.
    """
    ahead = np.asarray(np.roll(path, -1, 0) - np.roll(path, 1, 0), np.float32)
    if not closed:
        ahead[0], ahead[-1] = path[1] - path[0], path[-1] - path[-2]
    ahead = normalize(ahead)
    reference = np.where(np.abs(ahead[:, 2:]) > 0.8, (0, 1.0, 0), (0, 0, 1.0))
    first = normalize(np.cross(ahead, reference).astype(np.float32))
    second = np.cross(first, ahead)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False) + np.pi / sides
    ring = (
        np.cos(angle)[None, :, None] * first[:, None] + flat * np.sin(angle)[None, :, None] * second[:, None]
    )
    points = path[:, None] + np.broadcast_to(radii, len(path))[:, None, None] * ring
    if closed:
        points = np.concatenate([points, points[:1]])
    return sheet(np.asarray(points, np.float32), (1, 1), closed=True)


def disc(outline: Floats, center: Floats) -> Mesh:
    """Fill an outline, (N, 3), around a center, (3,)."""
    return sheet(np.stack([np.broadcast_to(center, outline.shape), outline]), closed=True)


def ball(center: Floats, radius: float, rows: int = 10, columns: int = 16, stretch: float = 1.0) -> Mesh:
    """Make a ball, stretched along y."""
    polar, around = np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns, endpoint=False)
    ring = np.sin(polar)[:, None] * np.ones(columns)
    height = stretch * np.cos(polar)[:, None] * np.ones(columns)
    points = np.stack([ring * np.sin(around), height, ring * np.cos(around)], -1)
    return sheet(np.asarray(center + radius * points, np.float32), (2, 1), closed=True)


def merge(meshes: list[Mesh]) -> Mesh:
    """Join meshes into one."""
    starts = np.cumsum([0, *(len(points) for points, _, _ in meshes)])
    triangles = [triangles + start for (_, triangles, _), start in zip(meshes, starts[:-1], strict=True)]
    points, uv = np.concatenate([mesh[0] for mesh in meshes]), np.concatenate([mesh[2] for mesh in meshes])
    return points, np.concatenate(triangles).astype(np.int32), uv


def plain_part(
    meshes: list[Mesh],
    albedo: Floats,
    gloss: float,
    bones: Floats | tuple[float, float] = (1.0, 0.0),
    anchors: Ints | None = None,
) -> Part:
    """Make a part without holes; `bones` are the same for all vertices, (2,), or given for each, (V, 2)."""
    points, triangles, uv = merge(meshes)
    shares = np.broadcast_to(np.asarray(bones, np.float32), (len(points), 2)).copy()
    opacity = np.full((TEXTURE_SIDE, TEXTURE_SIDE), 255, np.uint8)
    return Part(points, np.zeros_like(points), shares, triangles, uv, albedo, opacity, PLAIN, gloss, anchors)


def noise_texture(rng: np.random.Generator, cells: int, octaves: int = 3) -> Floats:
    """Compute smooth noise that repeats, (128, 128), of mean 0 and standard deviation 1.

    Args:
        rng: source of randomness.
        cells: number of bumps along a side of the coarsest octave.
        octaves: number of octaves, each of half the size.
    """
    frequency = np.fft.fftfreq(TEXTURE_SIDE, 1 / TEXTURE_SIDE)
    radius = np.hypot(frequency[:, None], frequency[None])
    spectrum = np.fft.fft2(rng.standard_normal((TEXTURE_SIDE, TEXTURE_SIDE)))
    gain = np.where((radius >= 0.5 * cells) & (radius <= cells * 2**octaves), 1 / np.maximum(radius, 1), 0)
    noise = np.fft.ifft2(spectrum * gain).real
    return np.asarray(noise / max(noise.std(), 1e-9), np.float32)


def paint(color: NDArray[np.floating], variation: Floats | float = 0.0) -> Floats:
    """Paint a texture in one color, (3,), times e to the power of a variation, (128, 128)."""
    texture = np.ones((TEXTURE_SIDE, TEXTURE_SIDE, 3), np.float32) * np.asarray(color, np.float32)
    change = np.broadcast_to(np.exp(variation), (TEXTURE_SIDE, TEXTURE_SIDE))
    return np.asarray(np.clip(texture * change[..., None], 0, 1), np.float32)


def cloth_texture(rng: np.random.Generator, color: Floats, weave: str) -> Floats:
    """Paint cloth, (128, 128, 3), linear RGB in [0, 1].

    Args:
        rng: source of randomness.
        color: (3,), linear RGB in [0, 1].
        weave: "woven", "knit" with ribs from the upper to the lower edge, "striped", "dotted" or "felt".
    """
    v, u = np.mgrid[0:TEXTURE_SIDE, 0:TEXTURE_SIDE] / TEXTURE_SIDE * 2 * np.pi
    variation = 0.035 * noise_texture(rng, 2)
    if weave == "knit":
        variation = variation + 0.22 * np.sin(16 * u) + 0.12 * np.sin(32 * v + 2 * np.abs(np.sin(8 * u)))
    elif weave == "woven":
        variation = variation + 0.10 * np.sin(64 * u) * np.sin(64 * v) + 0.05 * noise_texture(rng, 16)
    elif weave == "felt":
        variation = variation + 0.05 * noise_texture(rng, 24)
    base = paint(color, np.asarray(variation, np.float32))
    if weave in ("striped", "dotted"):
        other = random_color(rng)
        mask = np.sin(rng.integers(2, 7) * v) > 0.5
        if weave == "dotted":
            mask = np.sin(8 * u) * np.sin(8 * v) > 0.55
        base = np.where(mask[..., None], paint(other, np.asarray(variation, np.float32)), base)
    return np.asarray(base, np.float32)


def random_color(rng: np.random.Generator) -> Floats:
    """Draw a color of cloth, (3,), linear RGB: mostly dark or muted, some bright."""
    value = rng.choice((0.02, 0.05, 0.15, 0.35, 0.6)) * rng.uniform(0.7, 1.3)
    hue = rng.uniform(0, 1, 3)
    saturation = rng.beta(1.2, 1.6)
    tint = (1 - saturation) + saturation * hue / hue.max()
    return np.asarray(value * tint, np.float32)
