"""Materials: how much light surfaces reflect, and how."""

from typing import Any, NamedTuple

import numpy as np

from faceanim.synthetic.head import EYE, LASH, MOUTH, PLAIN, SKIN, TEETH, TONGUE, TORSO, Floats, Ints
from faceanim.synthetic.rendering.kernels import njit
from faceanim.synthetic.rendering.vectors import add, between, cross, dot, scale, unit

# All functions are inlined: calls that pass tuples of arrays count references, which doubles the time.

f4 = np.float32
TEETH_AROUND = f4(66)
"""Teeth in a full turn around the head, which gives a front tooth its width of about 8 mm."""
WHITE = (f4(1), f4(1), f4(1))
DULL, SOFT = (f4(0.05), f4(0.05), f4(0.05)), (f4(0.15), f4(0.15), f4(0.15))
TONGUE_COLOR, MOUTH_COLOR = (f4(0.42), f4(0.13), f4(0.12)), (f4(0.28), f4(0.07), f4(0.06))


class Surface(NamedTuple):
    """Mesh and textures of a person, as the shader reads them.

    Attributes:
        triangles: (T, 3), indices of vertices.
        materials: (T,), material of each triangle.
        uv: (T, 3, 2), texture coordinates of the corners.
        layers: (T,), texture in `parts` of triangles of hair and things; -1 for others.
        attributes: (V', 4), of the head model's vertices: lips, eyelids, ears, ambient light, in [0, 1].
        skin: (H, W, 4), texture of the head: albedo, and height in m.
        torso: (H, W, 5), texture of the torso: albedo, height in m, and coverage by cloth.
        iris: (R, A, 3), texture of the eyes: the angle from the axis down, the turn around it across.
        parts: (L, S, S, 3), textures of what is worn.
        gloss: (L,), strength of their highlights, in [0, 1].
        colors: (3, 3), albedo of lips, lashes and teeth.
    """

    triangles: Ints
    materials: Ints
    uv: Floats
    layers: Ints
    attributes: Floats
    skin: Floats
    torso: Floats
    iris: Floats
    parts: Floats
    gloss: Floats
    colors: Floats


class Finish(NamedTuple):
    """Reflection of light at a point of a surface.

    Attributes:
        albedo: share of light that is scattered, linear RGB.
        normal: unit normal; of hair, the direction of the strand.
        ambient: share of the surround that reaches the point, in [0, 1].
        strength: strength of the highlight.
        power: sharpness of the highlight, Blinn's exponent.
        wrap: how far light wraps around the terminator, by color.
        bleed: exponent of shadows, by color; below 1 they are lighter, as under skin.
    """

    albedo: Any
    normal: Any
    ambient: Any
    strength: Any
    power: Any
    wrap: Any
    bleed: Any


@njit(error_model="numpy", inline="always")
def find_finish(surface, points, triangle, weights, normal, view):  # type: ignore[no-untyped-def]
    """Find how a point of a triangle reflects light, as a `Finish`.

    `points` are the vertices in the camera's frame, (V, 3), in m; `weights` the point's barycentric
    coordinates in the triangle; `normal` is the interpolated normal there, and `view` the unit vector to the
    camera.
    """
    material = surface.materials[triangle]
    u, v = _texture_place(surface.uv, triangle, weights)
    lips, ambient = f4(0), f4(1)
    a, b, c = surface.triangles[triangle, 0], surface.triangles[triangle, 1], surface.triangles[triangle, 2]
    if max(a, b, c) < len(surface.attributes):
        lips = _mix_attribute(surface.attributes, (a, b, c), weights, 0)
        ambient = _mix_attribute(surface.attributes, (a, b, c), weights, 3)
    if material == SKIN:
        return _finish_skin(surface, points, triangle, u, v, normal, lips, ambient)
    if material == TORSO:
        return _finish_torso(surface, points, triangle, u, v, normal, ambient)
    if material == EYE:
        return _finish_eye(surface.iris, u, v, normal, ambient)
    if material == TEETH:
        tooth = abs(u * TEETH_AROUND - np.floor(u * TEETH_AROUND) - f4(0.5)) * f4(2)
        color = scale(_color(surface.colors, 2), f4(1) - f4(0.45) * _clip((tooth - f4(0.78)) * f4(4)))
        return Finish(color, normal, f4(0.5) + f4(0.5) * ambient, f4(0.12), f4(60), DULL, WHITE)
    if material in (TONGUE, MOUTH):
        color = TONGUE_COLOR if material == TONGUE else MOUTH_COLOR
        return Finish(color, normal, f4(0.25) + f4(0.75) * ambient, f4(0.10), f4(30), DULL, WHITE)
    if material == LASH:
        return Finish(_color(surface.colors, 1), normal, ambient, f4(0), f4(16), DULL, WHITE)
    layer = surface.layers[triangle]
    color = _sample(surface.parts[layer], u, v - np.floor(v))
    if material == PLAIN and dot(normal, view) < 0:  # seen from the other side
        normal = scale(normal, f4(-1))
    return Finish(color, normal, ambient, surface.gloss[layer] * f4(0.5), f4(50), SOFT, WHITE)


@njit(inline="always")
def _clip(value):  # type: ignore[no-untyped-def]
    return min(max(value, f4(0)), f4(1))


@njit(inline="always")
def _texture_place(uv, t, weights):  # type: ignore[no-untyped-def]
    a, b, c = weights
    return (
        uv[t, 0, 0] * a + uv[t, 1, 0] * b + uv[t, 2, 0] * c,
        uv[t, 0, 1] * a + uv[t, 1, 1] * b + uv[t, 2, 1] * c,
    )


@njit(inline="always")
def _mix_attribute(attributes, corners, weights, column):  # type: ignore[no-untyped-def]
    a, b, c = corners
    return (
        attributes[a, column] * weights[0]
        + attributes[b, column] * weights[1]
        + attributes[c, column] * weights[2]
    )


@njit(inline="always")
def _color(colors, row):  # type: ignore[no-untyped-def]
    return colors[row, 0], colors[row, 1], colors[row, 2]


@njit(inline="always")
def _bilinear(texture, u, v, channel):  # type: ignore[no-untyped-def]
    """Sample a texture that repeats in u and is clamped in v."""
    height, width = texture.shape[0], texture.shape[1]
    x = u * f4(width) - f4(0.5)
    y = min(max(v * f4(height) - f4(0.5), f4(0)), f4(height - 1.001))
    x0, y0 = int(np.floor(x)), int(y)
    fx, fy = x - f4(x0), y - f4(y0)
    xa, xb = x0 % width, (x0 + 1) % width
    above = texture[y0, xa, channel] * (f4(1) - fx) + texture[y0, xb, channel] * fx
    below = texture[y0 + 1, xa, channel] * (f4(1) - fx) + texture[y0 + 1, xb, channel] * fx
    return above * (f4(1) - fy) + below * fy


@njit(inline="always")
def _sample(texture, u, v):  # type: ignore[no-untyped-def]
    return _bilinear(texture, u, v, 0), _bilinear(texture, u, v, 1), _bilinear(texture, u, v, 2)


@njit(inline="always")
def _finish_skin(surface, points, triangle, u, v, normal, lips, ambient):  # type: ignore[no-untyped-def]
    """Skin scatters light below its surface, red the farthest; lips are smoother and shine."""
    albedo = _paint_lips(_sample(surface.skin, u, v), surface.colors, lips)
    normal = _bump(surface.skin, surface, points, triangle, u, v, normal)
    wet = lips > f4(0.3)
    strength, power = (f4(0.09), f4(40)) if wet else (f4(0.04), f4(16))
    wrap, bleed = (f4(0.30), f4(0.14), f4(0.10)), (f4(0.75), f4(1), f4(1))
    return Finish(albedo, normal, ambient ** f4(0.8), strength, power, wrap, bleed)


@njit(inline="always")
def _paint_lips(skin, colors, lips):  # type: ignore[no-untyped-def]
    """Mix the color of lips, shaded by the skin's pattern, into the skin."""
    full = _clip((lips - f4(0.25)) * f4(2.5))
    shade_r = f4(0.75) + f4(0.25) * min(skin[0] / max(colors[0, 0], f4(0.02)), f4(1.3))
    shade_g = f4(0.75) + f4(0.25) * min(skin[1] / max(colors[0, 1], f4(0.02)), f4(1.3))
    shade_b = f4(0.75) + f4(0.25) * min(skin[2] / max(colors[0, 2], f4(0.02)), f4(1.3))
    painted = (colors[0, 0] * shade_r, colors[0, 1] * shade_g, colors[0, 2] * shade_b)
    return add(scale(skin, f4(1) - full), scale(painted, full))


@njit(inline="always")
def _finish_torso(surface, points, triangle, u, v, normal, ambient):  # type: ignore[no-untyped-def]
    albedo = _sample(surface.torso, u, v)
    cloth = _bilinear(surface.torso, u, v, 4)
    normal = _bump(surface.torso, surface, points, triangle, u, v, normal)
    strength = f4(0.04) * (f4(1) - f4(0.8) * cloth)
    wrap = (f4(0.30) - f4(0.20) * cloth, f4(0.14) - f4(0.04) * cloth, f4(0.10))
    bleed = (f4(0.75) + f4(0.25) * cloth, f4(1), f4(1))
    return Finish(albedo, normal, ambient, strength, f4(16), wrap, bleed)


@njit(error_model="numpy", inline="always")
def _bump(texture, surface, points, triangle, u, v, normal):  # type: ignore[no-untyped-def]
    """Lean the normal away from the slope of the texture's height along the triangle (Blinn, 1978)."""
    du, dv = f4(1) / f4(texture.shape[1]), f4(1) / f4(texture.shape[0])
    here = _bilinear(texture, u, v, 3)
    slope_u = (_bilinear(texture, u + du, v, 3) - here) / du
    slope_v = (_bilinear(texture, u, v + dv, 3) - here) / dv
    a, b, c = surface.triangles[triangle, 0], surface.triangles[triangle, 1], surface.triangles[triangle, 2]
    uv, t = surface.uv, triangle
    rise_b = slope_u * (uv[t, 1, 0] - uv[t, 0, 0]) + slope_v * (uv[t, 1, 1] - uv[t, 0, 1])
    rise_c = slope_u * (uv[t, 2, 0] - uv[t, 0, 0]) + slope_v * (uv[t, 2, 1] - uv[t, 0, 1])
    to_b, to_c = between(points, a, b), between(points, a, c)
    face = cross(to_b, to_c)
    # The gradient of what rises by these amounts along two sides of a triangle.
    gradient = add(scale(cross(to_c, face), rise_b), scale(cross(face, to_b), rise_c))
    gradient = scale(gradient, f4(1) / max(dot(face, face), f4(1e-18)))
    steepness = np.sqrt(dot(gradient, gradient))
    return unit(add(normal, scale(gradient, f4(-0.6) / max(steepness, f4(0.6)))))


@njit(inline="always")
def _finish_eye(iris, u, v, normal, ambient):  # type: ignore[no-untyped-def]
    """An eye is wet, and lies in the shade of the upper lid."""
    row = min(np.sqrt(u * u + v * v) / f4(1.2), f4(0.999))
    turn = np.arctan2(v, u) / f4(2 * np.pi) + f4(0.5)
    ambient = f4(0.35) + f4(0.65) * ambient
    ambient *= min(f4(1), f4(0.92) - f4(0.28) * normal[1])
    return Finish(_sample(iris, turn, row), normal, ambient, f4(0.25), f4(400), DULL, WHITE)
