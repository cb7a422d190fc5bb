"""Sheets that follow the shape of a head, from which hats are made."""

import numpy as np

from faceanim.synthetic.head import Floats
from faceanim.synthetic.people.scalp import Collider, Face, body_collider, skin_normals

COLUMNS = 40
"""Number of points around a hat."""


class Wearer:
    """Skin of the one who wears it, and sheets around the head."""

    def __init__(self, rest: Floats) -> None:
        self.rest = rest
        self.face = Face.measure(rest)
        self.collider: Collider = body_collider(rest, skin_normals(rest), ears=False)
        self.center = np.array([0, self.face.brow, (self.face.back + 0.1) / 2], np.float32)

    def rim_height(self, angle: Floats, rim: tuple[float, float]) -> Floats:
        """Compute the height of a rim at an angle from straight ahead, in m."""
        return np.asarray(self.face.brow + rim[1] + (rim[0] - rim[1]) * (1 + np.cos(angle)) / 2, np.float32)

    def cover(self, rows: int, rim: tuple[float, float], lower: float = 0.0) -> tuple[Floats, Floats]:
        """Lay a sheet on the head from the crown to a rim.

        Returns:
            Points (rows, COLUMNS, 3) on the skin and normals, alike.
        """
        angle = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False, dtype=np.float32)
        slope = np.arctan2(self.rim_height(angle, rim) - lower - self.center[1], 0.095)
        share = np.linspace(0, 1, rows)[:, None]
        elevation = np.pi / 2 - share * (np.pi / 2 - slope)
        return self.lay(
            np.stack(
                [np.cos(elevation) * np.sin(angle), np.sin(elevation), np.cos(elevation) * np.cos(angle)], -1
            )
        )

    def lay(self, directions: Floats, center: Floats | None = None) -> tuple[Floats, Floats]:
        """Find the skin in given directions, (R, C, 3), from the middle of the head, smoothly."""
        shape = directions.shape
        points = np.asarray(
            (self.center if center is None else center) + 0.12 * directions, np.float32
        ).reshape(-1, 3)
        for _ in range(4):
            points = self.collider.push(points, 0.0, 0.0)
        grid = points.reshape(shape)
        for _ in range(2):
            around = (np.roll(grid, 1, 1) + np.roll(grid, -1, 1)) / 2
            inner = grid.copy()
            inner[1:-1] = (grid[:-2] + grid[2:]) / 2
            grid = 0.5 * grid + 0.25 * around + 0.25 * inner
        _, normals = self.collider.distance(grid.reshape(-1, 3))
        outwards = 0.5 * normals.reshape(shape) + 0.5 * directions
        outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
        grid = self.collider.push(np.asarray(grid.reshape(-1, 3), np.float32), 0.0).reshape(shape)
        return grid, np.asarray(outwards, np.float32)


def interpolate_thickness(rows: int, *knots: tuple[float, float]) -> Floats:
    """Interpolate the thickness of a hat, (rows, 1, 1) in m, between knots from 0, at the crown, to 1."""
    place, value = zip(*knots, strict=True)
    return np.asarray(np.interp(np.linspace(0, 1, rows), place, value)[:, None, None], np.float32)
