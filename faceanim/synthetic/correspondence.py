"""Where the surface points of one frame appear in another, and which of them are hidden there.

A pixel of the driving frame shows a point of a triangle. The same point of the same triangle, projected by
the source frame's pose, is where it appears in the source: the flow is exact by construction. The point is
hidden if a triangle of the source covers that place nearer to the camera. This is decided by the triangles
themselves rather than by a depth buffer, whose grid is as coarse as the layers of lids, lips and hair:
triangles are sorted into cells of the picture, and a point is compared with the few that share its cell.
"""

import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.geometry import CELL, Cells, Geometry
from faceanim.synthetic.head import Floats, Ints
from faceanim.synthetic.people.person import Mesh
from faceanim.synthetic.rendering.kernels import njit

SLACK = 1e-4
"""Depth by which a surface must be nearer to hide a point, in m; adjacent triangles are equally near."""
SAME_SURFACE = 1.0
"""Largest difference of the displacements within one surface of a pixel, in pixels."""


def find_flow(
    mesh: Mesh, source: Geometry, driving: Geometry, cells: Cells, affine: NDArray[np.float64]
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """Find where the source shows what each pixel of the driving frame shows.

    A pixel with several samples gets the mean displacement of the surface that most of them show, of the
    nearer one among equals, and is visible if at least half of its samples are.

    Args:
        mesh: the person.
        source: the source frame.
        driving: the driving frame, with as many samples.
        cells: triangles of the source, from `sort_triangles`.
        affine: (2, 3), from a place (x, y, 1) in the driving frame to the displacement of the background
            behind it, in pixels of the fine grid.

    Returns:
        Displacements (H, W, 2) from the pixels of the driving frame to the source's, visibility (H, W), and
        where samples of a pixel differ in either, (H, W).
    """
    shown = driving.fragments.triangle
    places, moves = np.zeros((shown.size, 3)), np.zeros((shown.size, 2))
    _trace(
        shown, driving.fragments.weights, driving.pixels, driving.posed.inverse_depth,
        source.pixels, source.posed.inverse_depth, mesh.surface.triangles, affine, driving.samples,
        places, moves,
    )  # fmt: skip
    seen = _find_seen(mesh, source, cells, shown.ravel(), places)
    flow = np.zeros((*driving.size, 2), np.float32)
    visible, mixed = np.zeros(driving.size, np.bool_), np.zeros(driving.size, np.bool_)
    _merge(
        moves.reshape(*shown.shape, 2), driving.fragments.inverse_depth, seen.reshape(shown.shape),
        driving.samples, flow, visible, mixed,
    )  # fmt: skip
    return flow, visible, mixed


def find_visible(
    mesh: Mesh, geometry: Geometry, cells: Cells, triangles: Ints, weights: Floats
) -> NDArray[np.bool_]:
    """Find which points of the mesh a frame shows.

    Args:
        mesh: the person.
        geometry: the frame.
        cells: triangles of the frame, from `sort_triangles`.
        triangles: (N,), triangles that the points lie in.
        weights: (N, 3), barycentric coordinates in them.
    """
    corners = mesh.surface.triangles[triangles]
    posed = geometry.posed
    depths = weights.astype(np.float64) / posed.inverse_depth[corners]
    depth = depths.sum(1, keepdims=True)
    pixels = (geometry.pixels[corners] * depths[..., None]).sum(1) / depth
    return _find_seen(mesh, geometry, cells, triangles, np.hstack([pixels, depth]))


def count_classes(classes: NDArray[np.uint8], geometry: Geometry) -> NDArray[np.uint8]:
    """Find the class that most samples of each pixel show, (H, W), the lower one among equals.

    Args:
        classes: (T + 1,), class of each triangle, below 16, and of the background at the end.
        geometry: the frame.
    """
    result = np.zeros(geometry.size, np.uint8)
    _count_classes(classes, geometry.fragments.triangle, geometry.samples, result)
    return result


def _find_seen(
    mesh: Mesh, geometry: Geometry, cells: Cells, own: Ints, places: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Find which points, (N,), are within a picture with nothing nearer before them.

    Args:
        mesh: the person.
        geometry: the frame.
        cells: its triangles.
        own: (N,), triangle that each point lies in; -1 for the background.
        places: (N, 3), x and y in pixels of the fine grid, depth in m.
    """
    seen = np.zeros(len(own), np.bool_)
    surface, posed = mesh.surface, geometry.posed
    height, width = geometry.fragments.triangle.shape
    _compare(
        own, places, geometry.pixels, posed.inverse_depth, surface.triangles, surface.layers, surface.uv,
        mesh.opacity, *cells, mesh.one_sided, width, height, seen,
    )  # fmt: skip
    return seen


# The kernels call no functions of their own: passing arrays to them would cost more than what they compute.


@njit(error_model="numpy")
def _trace(  # type: ignore[no-untyped-def]
    shown, weights, pixels, inverse_depth, source_pixels, source_depth, triangles, affine, samples, places,
    moves,
):  # fmt: skip
    """Locate in the source what each sample of the driving frame shows."""
    height, width = shown.shape
    for row in range(height):
        for column in range(width):
            i = row * width + column
            t = shown[row, column]
            if t < 0:
                x = affine[0, 0] * column + affine[0, 1] * row + affine[0, 2]
                y = affine[1, 0] * column + affine[1, 1] * row + affine[1, 2]
                places[i, 0], places[i, 1], places[i, 2] = column + x, row + y, np.inf
                moves[i, 0], moves[i, 1] = x / samples, y / samples
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            wb, wc = np.float64(weights[row, column, 0]), np.float64(weights[row, column, 1])
            wa = 1 - wb - wc
            # Both places by the same arithmetic, so that equal poses give exactly no displacement.
            da, db, dc = wa / inverse_depth[a], wb / inverse_depth[b], wc / inverse_depth[c]
            depth = da + db + dc
            x0 = (da * pixels[a, 0] + db * pixels[b, 0] + dc * pixels[c, 0]) / depth
            y0 = (da * pixels[a, 1] + db * pixels[b, 1] + dc * pixels[c, 1]) / depth
            da, db, dc = wa / source_depth[a], wb / source_depth[b], wc / source_depth[c]
            depth = da + db + dc
            x = (da * source_pixels[a, 0] + db * source_pixels[b, 0] + dc * source_pixels[c, 0]) / depth
            y = (da * source_pixels[a, 1] + db * source_pixels[b, 1] + dc * source_pixels[c, 1]) / depth
            places[i, 0], places[i, 1], places[i, 2] = x, y, depth
            moves[i, 0], moves[i, 1] = (x - x0) / samples, (y - y0) / samples


@njit(error_model="numpy")
def _compare(  # type: ignore[no-untyped-def]
    own, places, pixels, inverse_depth, triangles, layer, uv, alpha, starts, found, nearest, columns,
    planes, one_sided, width, height, seen,
):  # fmt: skip
    """Compare points with the triangles in their cells."""
    for n in range(len(own)):
        x, y, depth = places[n, 0], places[n, 1], places[n, 2]
        if not (x >= -0.5 and y >= -0.5 and x < width - 0.5 and y < height - 0.5 and depth > 0):
            continue
        t = own[n]
        if 0 <= t < one_sided:
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            area = (pixels[b, 0] - pixels[a, 0]) * (pixels[c, 1] - pixels[a, 1])
            area -= (pixels[b, 1] - pixels[a, 1]) * (pixels[c, 0] - pixels[a, 0])
            if area >= 0:
                continue  # turned away
        cell = int((y + 0.5) / CELL) * columns + int((x + 0.5) / CELL)
        limit = 1 / (depth - SLACK)
        seen[n] = True
        for i in range(starts[cell], starts[cell + 1]):
            if nearest[i] <= limit:
                break  # all that follow are farther still
            t = found[i]
            if t == own[n]:
                continue
            dx, dy = x - planes[t, 0], y - planes[t, 1]
            wb = planes[t, 2] * dx + planes[t, 3] * dy
            wc = planes[t, 4] * dx + planes[t, 5] * dy
            near = planes[t, 6] + planes[t, 7] * dx + planes[t, 8] * dy
            if wb < 0 or wc < 0 or wb + wc > 1 or near <= limit:
                continue
            if layer[t] >= 0:
                wb *= inverse_depth[triangles[t, 1]] / near
                wc *= inverse_depth[triangles[t, 2]] / near
                u = uv[t, 0, 0] + wb * (uv[t, 1, 0] - uv[t, 0, 0]) + wc * (uv[t, 2, 0] - uv[t, 0, 0])
                v = uv[t, 0, 1] + wb * (uv[t, 1, 1] - uv[t, 0, 1]) + wc * (uv[t, 2, 1] - uv[t, 0, 1])
                column = int(np.floor(u * alpha.shape[2])) % alpha.shape[2]
                row = int(np.floor(v * alpha.shape[1])) % alpha.shape[1]
                if alpha[layer[t], row, column] < 128:
                    continue
            seen[n] = False
            break


@njit()
def _merge(moves, nearness, seen, samples, flow, visible, mixed):  # type: ignore[no-untyped-def]
    """Set each pixel's displacement and visibility from those of its samples."""
    count = samples * samples
    for row in range(flow.shape[0]):
        for column in range(flow.shape[1]):
            best, most, least = 0, 0, np.float32(0)
            top, left = row * samples, column * samples
            for i in range(count):
                size = 0
                iy, ix = top + i // samples, left + i % samples
                for j in range(count):
                    jy, jx = top + j // samples, left + j % samples
                    size += (
                        abs(moves[iy, ix, 0] - moves[jy, jx, 0]) <= SAME_SURFACE
                        and abs(moves[iy, ix, 1] - moves[jy, jx, 1]) <= SAME_SURFACE
                    )
                if size > most or (size == most and nearness[iy, ix] > least):
                    best, most, least = i, size, nearness[iy, ix]
                if most == count:
                    break
            x, y, shown = 0.0, 0.0, 0
            iy, ix = top + best // samples, left + best % samples
            for j in range(count):
                jy, jx = top + j // samples, left + j % samples
                if (
                    abs(moves[iy, ix, 0] - moves[jy, jx, 0]) <= SAME_SURFACE
                    and abs(moves[iy, ix, 1] - moves[jy, jx, 1]) <= SAME_SURFACE
                ):
                    x, y, shown = x + moves[jy, jx, 0], y + moves[jy, jx, 1], shown + seen[jy, jx]
            flow[row, column, 0], flow[row, column, 1] = x / most, y / most
            visible[row, column] = 2 * shown >= most
            mixed[row, column] = most < count or 0 < shown < count


@njit()
def _count_classes(classes, shown, samples, result):  # type: ignore[no-untyped-def]
    counts = np.zeros(16, np.int32)
    for row in range(result.shape[0]):
        for column in range(result.shape[1]):
            counts[:] = 0
            for i in range(samples * samples):
                counts[classes[shown[row * samples + i // samples, column * samples + i % samples]]] += 1
            result[row, column] = np.argmax(counts)
