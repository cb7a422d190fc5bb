"""Geometry of a frame: the posed mesh, what the picture shows of it, and its triangles by place and depth."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from faceanim.synthetic.head import Floats, Ints
from faceanim.synthetic.people.person import Mesh
from faceanim.synthetic.render import Posed, scale_pixels
from faceanim.synthetic.rendering.kernels import njit
from faceanim.synthetic.rendering.rasterizer import Fragments

CELL = 2
"""Side of a cell, in pixels of the fine grid."""


@dataclass(frozen=True)
class Geometry:
    """Surfaces of a person that a frame shows, before light.

    Attributes:
        posed: the person's mesh, in pixels of the picture.
        fragments: the nearest surfaces, (samples * H, samples * W): the fine grid.
        samples: fragments along each side of a pixel.
    """

    posed: Posed
    fragments: Fragments
    samples: int

    @cached_property
    def pixels(self) -> Floats:
        """Projected vertices in pixels of the fine grid, (V, 2)."""
        return scale_pixels(self.posed.pixels, self.samples)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture, in pixels."""
        height, width = self.fragments.triangle.shape
        return height // self.samples, width // self.samples

    def shrunk(self, factor: int) -> "Geometry":
        """Return the geometry of a picture that is made from this one by averaging factor x factor pixels."""
        posed = replace(self.posed, pixels=scale_pixels(self.posed.pixels, 1 / factor))
        return Geometry(posed, self.fragments, self.samples * factor)


class Cells(NamedTuple):
    """The visible sides of a frame's triangles, sorted by cells of the picture.

    Attributes:
        starts: (R * C + 1,), where each cell's triangles start in `triangles`, row by row.
        triangles: the triangles that meet the cell, from near to far by their nearest corner.
        nearest: inverse depth of that corner, in 1/m.
        columns: number of cells in a row.
        planes: (T, 9), of each triangle: place of its first corner; slopes along x and y of the barycentric
            coordinates of the second and third corners, as they are in the picture; inverse depth at the
            first corner, and its slopes.
    """

    starts: Ints
    triangles: Ints
    nearest: Floats
    columns: int
    planes: Floats


def sort_triangles(mesh: Mesh, geometry: Geometry) -> Cells:
    """Sort a frame's triangles into cells."""
    height, width = geometry.fragments.triangle.shape
    rows, columns = -(-height // CELL), -(-width // CELL)
    triangles, inverse_depth = mesh.surface.triangles, geometry.posed.inverse_depth
    near, bounds, planes = _bound(geometry.pixels, inverse_depth, triangles, mesh.one_sided, rows, columns)
    order = np.argsort(-near)[: np.count_nonzero(near)]
    starts, found, nearest = _sort(geometry.pixels, triangles, near, bounds, order, rows, columns)
    return Cells(starts, found, nearest, columns, planes)


@njit()
def _bound(pixels, inverse_depth, triangles, one_sided, rows, columns):  # type: ignore[no-untyped-def]
    """Find the cells that bound each triangle, and its nearest inverse depth; 0 if it is not seen."""
    near, bounds = np.zeros(len(triangles), np.float32), np.zeros((len(triangles), 4), np.int32)
    planes = np.zeros((len(triangles), 9), np.float32)
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        if inverse_depth[a] <= 0 or inverse_depth[b] <= 0 or inverse_depth[c] <= 0:
            continue
        area = (pixels[b, 0] - pixels[a, 0]) * (pixels[c, 1] - pixels[a, 1])
        area -= (pixels[b, 1] - pixels[a, 1]) * (pixels[c, 0] - pixels[a, 0])
        if area == 0 or (area > 0 and t < one_sided):
            continue
        # Cell 0 begins half a pixel before the first pixel's center.
        x0 = (min(pixels[a, 0], pixels[b, 0], pixels[c, 0]) + 0.5) / CELL
        x1 = (max(pixels[a, 0], pixels[b, 0], pixels[c, 0]) + 0.5) / CELL
        y0 = (min(pixels[a, 1], pixels[b, 1], pixels[c, 1]) + 0.5) / CELL
        y1 = (max(pixels[a, 1], pixels[b, 1], pixels[c, 1]) + 0.5) / CELL
        if x1 < 0 or y1 < 0 or x0 >= columns or y0 >= rows:
            continue
        bounds[t, 0], bounds[t, 1] = max(int(np.floor(x0)), 0), max(int(np.floor(y0)), 0)
        bounds[t, 2], bounds[t, 3] = min(int(np.floor(x1)), columns - 1), min(int(np.floor(y1)), rows - 1)
        near[t] = max(inverse_depth[a], inverse_depth[b], inverse_depth[c])
        scale = 1 / np.float64(area)
        db, dc = inverse_depth[b] - inverse_depth[a], inverse_depth[c] - inverse_depth[a]
        planes[t, 0], planes[t, 1], planes[t, 6] = pixels[a, 0], pixels[a, 1], inverse_depth[a]
        planes[t, 2] = (pixels[c, 1] - pixels[a, 1]) * scale
        planes[t, 3] = (pixels[a, 0] - pixels[c, 0]) * scale
        planes[t, 4] = (pixels[a, 1] - pixels[b, 1]) * scale
        planes[t, 5] = (pixels[b, 0] - pixels[a, 0]) * scale
        planes[t, 7] = planes[t, 2] * db + planes[t, 4] * dc
        planes[t, 8] = planes[t, 3] * db + planes[t, 5] * dc
    return near, bounds, planes


@njit()
def _sort(pixels, triangles, near, bounds, order, rows, columns):  # type: ignore[no-untyped-def]
    """Sort triangles by cell, and within it in the given order."""
    size = 0
    for t in order:
        size += (bounds[t, 2] - bounds[t, 0] + 1) * (bounds[t, 3] - bounds[t, 1] + 1)
    cells, members = np.zeros(size, np.int32), np.zeros(size, np.int32)
    starts = np.zeros(rows * columns + 1, np.int32)
    size = 0
    half = np.float32(CELL / 2)
    for t in order:
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, bx, by = pixels[a, 0], pixels[a, 1], pixels[b, 0], pixels[b, 1]
        cx, cy = pixels[c, 0], pixels[c, 1]
        side = np.float32(1) if (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) > 0 else np.float32(-1)
        # Each edge is a linear function that is positive inside; a cell is left out where one is negative.
        ux, uy = (ay - by) * side, (bx - ax) * side
        vx, vy = (by - cy) * side, (cx - bx) * side
        wx, wy = (cy - ay) * side, (ax - cx) * side
        u0 = (abs(ux) + abs(uy)) * half - ux * ax - uy * ay + np.float32(1e-3)
        v0 = (abs(vx) + abs(vy)) * half - vx * bx - vy * by + np.float32(1e-3)
        w0 = (abs(wx) + abs(wy)) * half - wx * cx - wy * cy + np.float32(1e-3)
        for row in range(bounds[t, 1], bounds[t, 3] + 1):
            y = np.float32(row * CELL) + half - np.float32(0.5)
            for column in range(bounds[t, 0], bounds[t, 2] + 1):
                x = np.float32(column * CELL) + half - np.float32(0.5)
                if ux * x + uy * y + u0 < 0 or vx * x + vy * y + v0 < 0 or wx * x + wy * y + w0 < 0:
                    continue
                i = row * columns + column
                cells[size], members[size] = i, t
                starts[i + 1] += 1
                size += 1
    for i in range(rows * columns):
        starts[i + 1] += starts[i]
    found, nearest = np.zeros(size, np.int32), np.zeros(size, np.float32)
    filled = starts[:-1].copy()
    for n in range(size):
        i = cells[n]
        found[filled[i]], nearest[filled[i]] = members[n], near[members[n]]
        filled[i] += 1
    return starts, found, nearest
