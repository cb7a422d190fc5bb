"""Z-buffer rasterizer on the CPU: which triangle each pixel shows, and where in it.

A talking head has some 30,000 small triangles, most of which cover a few pixels. Walking over the triangles
is then ten
times faster than casting a ray for each pixel, and gives the same answer: a triangle and barycentric
coordinates, from which textures, landmarks, flow and visibility follow exactly.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.rendering.kernels import njit

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int32]


class Fragments(NamedTuple):
    """The nearest surface at each pixel's center.

    Attributes:
        triangle: (H, W), index of the triangle; -1 where there is none.
        weights: (H, W, 2), perspective-correct barycentric coordinates of the triangle's second and third
            corners.
        inverse_depth: (H, W), 1 / distance along the camera's axis, in 1/m; 0 where there is no triangle.
    """

    triangle: Ints
    weights: Floats
    inverse_depth: Floats


class Cutouts(NamedTuple):
    """Textures that cut holes into triangles: strands of hair, lashes, lace.

    Attributes:
        layer: (T,) of each triangle, its layer in `alpha`; -1 for opaque triangles.
        uv: (T, 3, 2), texture coordinates of the corners, in [0, 1] with repetition.
        alpha: (L, h, w), opacity from 0 to 255; a fragment below 128 is left out.
    """

    layer: Ints
    uv: Floats
    alpha: NDArray[np.uint8]


def project(points: Floats, focal: float, center: tuple[float, float]) -> tuple[Floats, Floats]:
    """Project points by a pinhole camera that looks along -z.

    Args:
        points: (..., 3), x right, y up, z towards the camera, which is at the origin; z < 0 in front of it.
            In m.
        focal: focal length, in pixels.
        center: principal point x, y, in pixels; pixel (0, 0) has its center at (0, 0).

    Returns:
        Pixel coordinates (..., 2), and 1 / distance along the axis (...,), in 1/m.
    """
    inverse_depth = np.float32(-1) / points[..., 2]
    x = points[..., 0] * inverse_depth * np.float32(focal) + np.float32(center[0])
    y = np.float32(center[1]) - points[..., 1] * inverse_depth * np.float32(focal)
    return np.stack([x, y], -1), inverse_depth


def rasterize(
    pixels: Floats,
    inverse_depth: Floats,
    triangles: Ints,
    size: tuple[int, int],
    cutouts: Cutouts,
    one_sided: int = 0,
) -> Fragments:
    """Find the nearest triangle at each pixel's center.

    Args:
        pixels: (V, 2), projected vertices, x then y, from `project`.
        inverse_depth: (V,), from `project`.
        triangles: (T, 3), indices of vertices, counter-clockwise as seen from outside.
        size: height and width, in pixels.
        cutouts: holes in the triangles.
        one_sided: the first so many triangles are seen from outside only; those after it from both sides.
    """
    height, width = size
    triangle = np.full((height, width), -1, np.int32)
    weights = np.zeros((height, width, 2), np.float32)
    nearest = np.zeros((height, width), np.float32)
    _fill(pixels, inverse_depth, triangles, *cutouts, one_sided, triangle, weights, nearest)
    return Fragments(triangle, weights, nearest)


@njit(error_model="numpy")
def _fill(  # type: ignore[no-untyped-def]
    pixels, inverse_depth, triangles, layer, uv, alpha, one_sided, triangle, weights, nearest
):  # fmt: skip
    height, width = triangle.shape
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        za, zb, zc = inverse_depth[a], inverse_depth[b], inverse_depth[c]
        if za <= 0 or zb <= 0 or zc <= 0:
            continue  # behind the camera
        ax, ay = pixels[a, 0], pixels[a, 1]
        bx, by = pixels[b, 0], pixels[b, 1]
        cx, cy = pixels[c, 0], pixels[c, 1]
        # Twice the signed area; negative for counter-clockwise triangles, for y points down in the image.
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0 or (area > 0 and t < one_sided):
            continue
        x0 = max(0, int(np.ceil(min(ax, bx, cx))))
        x1 = min(width - 1, int(np.floor(max(ax, bx, cx))))
        y0 = max(0, int(np.ceil(min(ay, by, cy))))
        y1 = min(height - 1, int(np.floor(max(ay, by, cy))))
        if x0 > x1 or y0 > y1:
            continue
        scale = np.float32(1) / area
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                wb = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) * scale
                wc = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) * scale
                wa = np.float32(1) - wb - wc
                if wa < -1e-5 or wb < -1e-5 or wc < -1e-5:
                    continue
                z = wa * za + wb * zb + wc * zc
                if z <= nearest[y, x]:
                    continue
                wb, wc = wb * zb / z, wc * zc / z
                if layer[t] >= 0:
                    wa = np.float32(1) - wb - wc
                    u = wa * uv[t, 0, 0] + wb * uv[t, 1, 0] + wc * uv[t, 2, 0]
                    v = wa * uv[t, 0, 1] + wb * uv[t, 1, 1] + wc * uv[t, 2, 1]
                    column = int(np.floor(u * alpha.shape[2])) % alpha.shape[2]
                    row = int(np.floor(v * alpha.shape[1])) % alpha.shape[1]
                    if alpha[layer[t], row, column] < 128:
                        continue
                nearest[y, x] = z
                triangle[y, x] = t
                weights[y, x, 0], weights[y, x, 1] = wb, wc


@njit()
def vertex_normals(points: Floats, triangles: Ints) -> Floats:
    """Compute normals at vertices, averaged over the triangles around them by their area.

    Args:
        points: (V, 3).
        triangles: (T, 3), counter-clockwise as seen from outside.

    Returns:
        (V, 3), unit vectors that point outwards.
    """
    normals = np.zeros_like(points)
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for i in (a, b, c):
            normals[i, 0] += nx
            normals[i, 1] += ny
            normals[i, 2] += nz
    for i in range(len(points)):
        length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2)
        if length > 0:
            normals[i] /= length
    return normals
