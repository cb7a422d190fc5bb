"""Vectors of three numbers as tuples, for kernels."""

import numpy as np

from faceanim.synthetic.rendering.kernels import njit


@njit()
def dot(a, b):  # type: ignore[no-untyped-def]
    """Compute the inner product of two vectors."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit()
def cross(a, b):  # type: ignore[no-untyped-def]
    """Compute the cross product of two vectors."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@njit()
def add(a, b):  # type: ignore[no-untyped-def]
    """Add two vectors."""
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


@njit()
def scale(a, factor):  # type: ignore[no-untyped-def]
    """Multiply a vector by a number."""
    return a[0] * factor, a[1] * factor, a[2] * factor


@njit()
def unit(a):  # type: ignore[no-untyped-def]
    """Scale a vector to unit length."""
    return scale(a, np.float32(1) / np.sqrt(max(dot(a, a), np.float32(1e-12))))


@njit()
def between(points, first, second):  # type: ignore[no-untyped-def]
    """Compute the vector from one vertex to another."""
    return (
        points[second, 0] - points[first, 0],
        points[second, 1] - points[first, 1],
        points[second, 2] - points[first, 2],
    )


@njit()
def mix(values, corners, weights):  # type: ignore[no-untyped-def]
    """Interpolate vectors at the corners of a triangle."""
    a, b, c = corners
    wa, wb, wc = weights
    return (
        values[a, 0] * wa + values[b, 0] * wb + values[c, 0] * wc,
        values[a, 1] * wa + values[b, 1] * wb + values[c, 1] * wc,
        values[a, 2] * wa + values[b, 2] * wb + values[c, 2] * wc,
    )
