"""Light on what the rasterizer found: skin, eyes, teeth, hair and things, in linear RGB.

Lamps and surround are fixed to the room, so a head that turns changes its shading. Skin lets light wrap
around the terminator, the more the longer its wavelength, as scattering under the surface does; hair
reflects like a cylinder (Kajiya & Kay, SIGGRAPH 1989); highlights are Blinn's (SIGGRAPH 1977) under
Schlick's approximation of Fresnel's law.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.head import EYE, HAIR, MOUTH, TEETH, TONGUE, Floats, Ints
from faceanim.synthetic.rendering.kernels import njit
from faceanim.synthetic.rendering.materials import Surface, f4, find_finish
from faceanim.synthetic.rendering.rasterizer import Fragments, vertex_normals
from faceanim.synthetic.rendering.vectors import add, dot, mix, scale, unit

# The helpers are inlined: calls that pass tuples of arrays count references, which takes half the time.

SKIN_BIAS, HAIR_BIAS = f4(0.006), f4(0.012)
"""Depth by which a surface must lie behind another one to be in its shadow, in m."""


class Lighting(NamedTuple):
    """Lamps and surround of a take.

    Attributes:
        directions: (L, 3), unit vectors towards the lamps; the first casts shadows.
        colors: (L, 3), strength of each lamp, linear RGB.
        sky: (3,), light from above, linear RGB.
        ground: (3,), light from below.
        front: (3,), soft light from the camera's side, as of a window or screen behind it.
        window: (4,), position (x, y) and half size of a bright rectangle that the eyes mirror, in units of
            the reflected direction.
    """

    directions: Floats
    colors: Floats
    sky: Floats
    ground: Floats
    front: Floats
    window: Floats


FLAT_LIGHT = Lighting(
    np.zeros((0, 3), np.float32),
    np.zeros((0, 3), np.float32),
    np.full(3, 0.9, np.float32),
    np.full(3, 0.9, np.float32),
    np.zeros(3, np.float32),
    np.zeros(4, np.float32),
)
"""The same light from everywhere: a point keeps its color while it moves. For checks of the flow."""


def shade(
    fragments: Fragments,
    points: Floats,
    normals: Floats,
    surface: Surface,
    lighting: Lighting,
    shadow: Floats,
    shadow_map: Floats,
    samples: int,
) -> Floats:
    """Compute the light that reaches the camera, averaged over blocks of samples x samples fragments.

    Args:
        fragments: the nearest surfaces, (samples * H, samples * W).
        points: (V, 3), vertices in the camera's frame, in m.
        normals: (V, 3), unit normals; of hair, the direction of the strands.
        surface: mesh and textures.
        lighting: lamps and surround.
        shadow: (3, 4), from points to columns, rows and inverse depths of the shadow map.
        shadow_map: (S, S), the nearest inverse depths as the first lamp sees them; empty for no shadows.
        samples: fragments along each side of a pixel.

    Returns:
        (H, W, 4): color times coverage, linear RGB, and coverage in [0, 1].
    """
    height, width = fragments.triangle.shape
    image = np.zeros((height // samples, width // samples, 4), np.float32)
    _shade(fragments, points, normals, surface, lighting, shadow, shadow_map, samples, image)
    return image


def normals_of(
    points: Floats, triangles: Ints, directions: NDArray[np.float32], strands: NDArray[np.bool_]
) -> Floats:
    """Compute normals at vertices, with the strands' directions in their place for hair.

    Args:
        points: (V, 3).
        triangles: (T, 3), triangles of everything but hair.
        directions: (V, 3), directions of the strands, in the camera's frame.
        strands: (V,), true for vertices of hair.
    """
    normals = np.asarray(vertex_normals(points, triangles))
    normals[strands] = directions[strands]
    return normals


@njit(error_model="numpy")
def _shade(  # type: ignore[no-untyped-def]
    fragments, points, normals, surface, lighting, shadow, shadow_map, samples, image
):  # fmt: skip
    height, width = fragments.triangle.shape
    share = f4(1) / f4(samples * samples)
    for y in range(height):
        for x in range(width):
            t = fragments.triangle[y, x]
            if t < 0:
                continue
            second, third = fragments.weights[y, x, 0], fragments.weights[y, x, 1]
            weights = (f4(1) - second - third, second, third)
            corners = (surface.triangles[t, 0], surface.triangles[t, 1], surface.triangles[t, 2])
            point = mix(points, corners, weights)
            view = unit(scale(point, f4(-1)))
            finish = find_finish(surface, points, t, weights, unit(mix(normals, corners, weights)), view)
            material = surface.materials[t]
            if material == HAIR:
                lit = _shadow_at(shadow, shadow_map, point, HAIR_BIAS)
                color = _light_hair(finish, view, lighting, lit)
            else:
                lit = _shadow_at(shadow, shadow_map, point, SKIN_BIAS)
                inside = material in (MOUTH, TONGUE, TEETH)
                color = _light_surface(finish, view, lighting, lit, finish.ambient if inside else f4(1))
                if material == EYE:
                    color = add(color, _mirror_window(finish.normal, view, lighting.window))
            row, column = y // samples, x // samples
            for k in range(3):
                image[row, column, k] += color[k] * share
            image[row, column, 3] += share


@njit(error_model="numpy")
def _light_surface(finish, view, lighting, lit, others):  # type: ignore[no-untyped-def]
    """Sum the light that a surface sends to the camera.

    `lit` is the share of the first lamp's light that reaches it, `others` that of the other lamps'.
    """
    normal, ambient = finish.normal, finish.ambient
    up, facing = f4(0.5) + f4(0.5) * normal[1], max(normal[2], f4(0))
    fresnel = (f4(1) - max(dot(normal, view), f4(0))) ** 5
    red, green, blue = _surround(lighting, up, facing)
    edge = fresnel * f4(0.05) * ambient
    red = finish.albedo[0] * ambient * red + edge * lighting.sky[0]
    green = finish.albedo[1] * ambient * green + edge * lighting.sky[1]
    blue = finish.albedo[2] * ambient * blue + edge * lighting.sky[2]
    for lamp in range(len(lighting.directions)):
        direction = row_of(lighting.directions, lamp)
        share = lit if lamp == 0 else others
        cosine = dot(normal, direction)
        shine = f4(0)
        if cosine > 0:
            half = unit(add(direction, view))
            shine = max(dot(normal, half), f4(0)) ** finish.power * finish.strength * share
            shine *= (finish.power + f4(8)) * f4(0.04) * (f4(0.6) + f4(2) * fresnel)
        red += lighting.colors[lamp, 0] * (_scatter(finish, cosine, share, 0) + shine)
        green += lighting.colors[lamp, 1] * (_scatter(finish, cosine, share, 1) + shine)
        blue += lighting.colors[lamp, 2] * (_scatter(finish, cosine, share, 2) + shine)
    return red, green, blue


@njit(inline="always")
def row_of(values, row):  # type: ignore[no-untyped-def]
    """Take a row as a vector."""
    return values[row, 0], values[row, 1], values[row, 2]


@njit(inline="always")
def _surround(lighting, up, facing):  # type: ignore[no-untyped-def]
    sky, ground, front = lighting.sky, lighting.ground, lighting.front
    return (
        ground[0] + up * (sky[0] - ground[0]) + facing * front[0],
        ground[1] + up * (sky[1] - ground[1]) + facing * front[1],
        ground[2] + up * (sky[2] - ground[2]) + facing * front[2],
    )


@njit(inline="always")
def _scatter(finish, cosine, share, k):  # type: ignore[no-untyped-def]
    """Compute the light of a lamp that is scattered in one color."""
    soft = max((cosine + finish.wrap[k]) / (f4(1) + finish.wrap[k]), f4(0))
    return finish.albedo[k] * soft * share ** finish.bleed[k]


@njit(inline="always")
def _mirror_window(normal, view, window):  # type: ignore[no-untyped-def]
    """Compute what the cornea mirrors of the brightest thing in the room."""
    twice = f4(2) * dot(normal, view)
    x, y = twice * normal[0] - view[0], twice * normal[1] - view[1]
    if window[2] > 0 and abs(x - window[0]) < window[2] and abs(y - window[1]) < window[3]:
        return f4(0.35), f4(0.35), f4(0.35)
    return f4(0), f4(0), f4(0)


@njit(inline="always")
def _light_hair(finish, view, lighting, lit):  # type: ignore[no-untyped-def]
    """Sum the light that a strand sends to the camera (Kajiya & Kay, 1989)."""
    albedo, strand = finish.albedo, finish.normal
    sky, ground, front = lighting.sky, lighting.ground, lighting.front
    red = f4(0.75) * albedo[0] * (f4(0.6) * sky[0] + f4(0.25) * ground[0] + f4(0.5) * front[0])
    green = f4(0.75) * albedo[1] * (f4(0.6) * sky[1] + f4(0.25) * ground[1] + f4(0.5) * front[1])
    blue = f4(0.75) * albedo[2] * (f4(0.6) * sky[2] + f4(0.25) * ground[2] + f4(0.5) * front[2])
    for lamp in range(len(lighting.directions)):
        direction = row_of(lighting.directions, lamp)
        share = lit if lamp == 0 else f4(1)
        diffuse = f4(0.55) * _across(strand, direction)
        shine = _across(strand, unit(add(direction, view))) ** f4(40)
        red += lighting.colors[lamp, 0] * share * _strand(albedo[0], diffuse, shine)
        green += lighting.colors[lamp, 1] * share * _strand(albedo[1], diffuse, shine)
        blue += lighting.colors[lamp, 2] * share * _strand(albedo[2], diffuse, shine)
    return red, green, blue


@njit(inline="always")
def _across(strand, direction):  # type: ignore[no-untyped-def]
    """Compute the sine of the angle between a strand and a direction."""
    along = dot(strand, direction)
    return np.sqrt(max(f4(1) - along * along, f4(0)))


@njit(inline="always")
def _strand(albedo, diffuse, shine):  # type: ignore[no-untyped-def]
    return albedo * diffuse + shine * (f4(0.015) + f4(0.25) * albedo)


@njit(inline="always")
def _shadow_at(shadow, shadow_map, point, bias):  # type: ignore[no-untyped-def]
    """Compute the share of the first lamp's light that reaches a point, over 3 x 3 pixels of the shadow
    map."""
    side = shadow_map.shape[0]
    if side == 0:
        return f4(1)
    x, y, z = point
    column = shadow[0, 0] * x + shadow[0, 1] * y + shadow[0, 2] * z + shadow[0, 3]
    row = shadow[1, 0] * x + shadow[1, 1] * y + shadow[1, 2] * z + shadow[1, 3]
    depth = shadow[2, 0] * x + shadow[2, 1] * y + shadow[2, 2] * z + shadow[2, 3] + bias
    c0, r0 = int(np.floor(column)), int(np.floor(row))
    if c0 < 1 or r0 < 1 or c0 >= side - 2 or r0 >= side - 2:
        return f4(1)
    fx, fy = column - f4(c0), row - f4(r0)
    light = f4(0)
    for dy in range(-1, 3):
        wy = (f4(1) - fy) if dy == -1 else (fy if dy == 2 else f4(1))
        for dx in range(-1, 3):
            wx = (f4(1) - fx) if dx == -1 else (fx if dx == 2 else f4(1))
            if shadow_map[r0 + dy, c0 + dx] <= depth:
                light += wx * wy
    return light / f4(9)
