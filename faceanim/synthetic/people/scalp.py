"""The scalp: where hair grows, how far it may come down the forehead, and the body that hair lies on."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceanim.synthetic.head import SKIN, TORSO, Floats, HeadModel, Ints, load_head
from faceanim.synthetic.rendering.kernels import njit
from faceanim.synthetic.rendering.rasterizer import vertex_normals

HAIRLINE = np.array(
    [
        (0, 0.107), (14, 0.107), (27, 0.102), (38, 0.088), (50, 0.068), (57, 0.058), (60, 0.035), (64, 0.022),
        (69, 0.020), (74, 0.052), (92, 0.052), (101, 0.030), (112, 0.006), (135, -0.026),
        (160, -0.036), (180, -0.036),
    ]
)  # fmt: skip
"""Height in m of the edge of the hair on the mean head by the angle from straight ahead, in degrees."""
CANDIDATES = 2400
"""Number of places where hair may be rooted, in an order in which any first n are spread evenly."""


class Roots(NamedTuple):
    """Places on the skin.

    Attributes:
        corners: (N, 3), vertices of the triangle around each place.
        weights: (N, 3), barycentric coordinates in it.
        place: (N, 3), position on the mean head, in m.
        height: (N,), distance above the hairline of the mean head, in m; negative below it.
    """

    corners: Ints
    weights: Floats
    place: Floats
    height: Floats

    def take(self, chosen: NDArray[np.bool_] | Ints | NDArray[np.intp]) -> "Roots":
        """Keep some of the places."""
        return Roots(self.corners[chosen], self.weights[chosen], self.place[chosen], self.height[chosen])

    def on(self, values: Floats) -> Floats:
        """Interpolate a value at each vertex, (V, C), to the places, (N, C)."""
        return np.asarray((values[self.corners] * self.weights[..., None]).sum(1), np.float32)

    @property
    def anchors(self) -> Ints:
        """Nearest vertex of the model to each place, (N,)."""
        return np.asarray(self.corners[np.arange(len(self.corners)), self.weights.argmax(1)], np.int32)


@dataclass(frozen=True)
class Collider:
    """Skin as points with normals, to keep things outside of it.

    Attributes:
        points: (M, 3), in m.
        normals: (M, 3), unit vectors that point outwards.
    """

    points: Floats
    normals: Floats

    def nearest(self, points: Floats) -> NDArray[np.int64]:
        """Find the sample that is nearest to each point, (N,)."""
        return np.asarray(_nearest(np.ascontiguousarray(points, np.float32), self.points), np.int64)

    def distance(self, points: Floats) -> tuple[Floats, Floats]:
        """Measure how far outside of the skin points are, (N,) in m, and the direction outwards, (N, 3)."""
        nearest = self.nearest(points)
        normals = self.normals[nearest]
        return np.einsum("nc,nc->n", points - self.points[nearest], normals), normals

    def push(self, points: Floats, least: Floats | float, most: Floats | float = np.inf) -> Floats:
        """Move points along the normal to a distance from the skin between two bounds, in m."""
        away, normals = self.distance(points)
        change = np.clip(away, least, most) - away
        return np.asarray(points + change[:, None] * normals, np.float32)


@njit(fastmath=True)
def _nearest(points, samples):  # type: ignore[no-untyped-def]
    result = np.empty(len(points), np.int64)
    for i in range(len(points)):
        x, y, z = points[i]
        best, index = np.float32(1e9), 0
        for j in range(len(samples)):
            dx, dy, dz = samples[j, 0] - x, samples[j, 1] - y, samples[j, 2] - z
            distance = dx * dx + dy * dy + dz * dz
            if distance < best:
                best, index = distance, j
        result[i] = index
    return result


@cache
def _sample_vertices(spacing: float) -> tuple[Ints, Ints]:
    """Choose vertices of the skin and of the ears, one in each cube of a grid."""
    head = load_head()
    skin = np.union1d(head.vertices_of(SKIN), head.vertices_of(TORSO))
    _, first = np.unique(np.round(head.mean[skin] / spacing), axis=0, return_index=True)
    thinned = skin[np.sort(first)]
    ears = head.attributes[thinned, 2] > 0.3
    return thinned[~ears], thinned[ears]


def body_collider(rest: Floats, normals: Floats, ears: bool = True, spacing: float = 0.008) -> Collider:
    """Sample a person's skin.

    Args:
        rest: (V, 3), vertices at rest, in m.
        normals: (V, 3), at the vertices.
        ears: ears are part of it, as bumps that point sideways.
        spacing: distance between the samples, in m.
    """
    skin, lobes = _sample_vertices(spacing)
    points, outwards = rest[skin], normals[skin]
    if ears:
        sideways = np.zeros((len(lobes), 3), np.float32)
        sideways[:, 0] = np.sign(rest[lobes, 0])
        points, outwards = np.concatenate([points, rest[lobes]]), np.concatenate([outwards, sideways])
    return Collider(np.ascontiguousarray(points), np.ascontiguousarray(outwards))


def nearest_vertices(points: Floats, rest: Floats) -> Ints:
    """Find the vertex of the skin or the torso that is nearest to each point, (N,)."""
    vertices = np.unique(_skin_triangles())
    collider = Collider(np.ascontiguousarray(rest[vertices]), np.zeros((len(vertices), 3), np.float32))
    return np.asarray(vertices[collider.nearest(points)], np.int32)


def skin_normals(rest: Floats) -> Floats:
    """Compute a person's normals, (V, 3), with the skin and torso as one surface."""
    return np.asarray(vertex_normals(rest, _skin_triangles()), np.float32)


@cache
def _skin_triangles() -> Ints:
    head = load_head()
    return np.ascontiguousarray(head.triangles[np.isin(head.materials, (SKIN, TORSO))])


def height_above_hairline(points: Floats) -> Floats:
    """Measure places of the mean head, (N, 3), by their height above the hairline, (N,), in m."""
    angle = np.degrees(np.arctan2(np.abs(points[:, 0]), points[:, 2]))
    line = np.interp(angle, HAIRLINE[:, 0], HAIRLINE[:, 1])
    height = points[:, 1] - line
    ahead = (points[:, 2] - 0.0) * np.clip((points[:, 1] - 0.09) / 0.02, 0, 1)
    return np.asarray(np.where(ahead > 0.1, np.minimum(height, 0.02), height), np.float32)


def scatter(head: HeadModel, triangles: Ints, count: int, seed: int = 0) -> Roots:
    """Scatter places evenly over triangles of the mean head."""
    rng = np.random.default_rng(seed)
    corners = head.mean[triangles]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = rng.choice(len(triangles), 3 * count, p=areas / areas.sum())
    weights = rng.dirichlet((1, 1, 1), 3 * count).astype(np.float32)
    place = (corners[chosen] * weights[..., None]).sum(1).astype(np.float32)
    order = _spread(place, count)
    place = place[order]
    return Roots(triangles[chosen][order], weights[order], place, height_above_hairline(place))


@njit()
def _spread(points, count):  # type: ignore[no-untyped-def]
    """Order points so that each is the farthest from those before it."""
    order = np.zeros(count, np.int64)
    nearest = np.full(len(points), np.float32(1e9))
    for i in range(1, count):
        x, y, z = points[order[i - 1]]
        best = 0
        for j in range(len(points)):
            dx, dy, dz = points[j, 0] - x, points[j, 1] - y, points[j, 2] - z
            distance = dx * dx + dy * dy + dz * dz
            if distance < nearest[j]:
                nearest[j] = distance
            if nearest[j] > nearest[best]:
                best = j
        order[i] = best
    return order


@cache
def scalp_roots() -> Roots:
    """Scatter places over the scalp, from a little below the hairline."""
    head = load_head()
    skin = head.triangles[head.materials == SKIN]
    height = height_above_hairline(head.mean)[skin]
    inside = (height.max(1) > 0) & (head.attributes[skin, 2].max(1) < 0.3)
    roots = scatter(head, np.ascontiguousarray(skin[inside]), CANDIDATES)
    return roots.take(roots.height > -0.002)


def recede(place: Floats, height: Floats, amount: float) -> Floats:
    """Lower the height above the hairline, (N,), where men go bald: at the temples first, then on the crown.

    Args:
        place: (N, 3), on the mean head, in m.
        height: (N,), above the hairline, in m.
        amount: from 0, not at all, to 1, all but the sides and the back.
    """
    x, y, z = np.abs(place[:, 0]), place[:, 1], place[:, 2]
    temples = np.exp(-(((x - 0.045) / 0.022) ** 2)) * np.clip(z / 0.06, 0, 1)
    top = np.clip((y - 0.085) / 0.03, 0, 1) * np.clip((z + 0.10) / 0.08, 0, 1)
    early, late = min(1.0, 2 * amount), max(0.0, 2 * amount - 1)
    return np.asarray(
        height - 0.035 * early * temples - 0.012 * early * (z > 0.03) - 0.12 * late * top, np.float32
    )


def wave_noise(points: Floats, scale: float, seed: int) -> Floats:
    """Compute smooth noise at points, (N,), about in [-1, 1], whose bumps are `scale` m apart."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(0, 2 * np.pi / scale / 1.7, (6, 3)).astype(np.float32)
    return np.asarray(np.sin(points @ waves.T + rng.uniform(0, 6.28, 6)).sum(1) / 2.5, np.float32)


@dataclass(frozen=True)
class Face:
    """Measures of a person's face at rest, in m.

    Attributes:
        brow: height of the upper edge of the brows.
        chin: height of the chin.
        crown: height of the crown.
        back: depth of the back of the head, z < 0.
        half_width: half of the distance between the outer edges of the brows, with a margin.
        front: depth, z, from which on hair would hang before the face.
    """

    brow: float
    chin: float
    crown: float
    back: float
    half_width: float
    front: float

    @classmethod
    def measure(cls, rest: Floats) -> "Face":
        """Measure a person's vertices at rest, (V, 3)."""
        marks = load_head().landmarks(rest)
        skull = rest[_skull()]
        return cls(
            brow=float(marks[[63, 105, 334, 293], 1].mean()),
            chin=float(marks[152, 1]),
            crown=float(skull[:, 1].max()),
            back=float(skull[:, 2].min()),
            half_width=float(marks[263, 0] - marks[33, 0]) / 2 + 0.013,
            front=float(marks[[33, 263], 2].mean()) - 0.045,
        )

    def inside(self, points: Floats, limit: Floats | float, margin: float = 0.0) -> NDArray[np.bool_]:
        """Find points, (..., 3), that are before the face below a height."""
        depth = points[..., 2] > self.front
        return np.asarray(
            (points[..., 1] < limit) & depth & (np.abs(points[..., 0]) < self.width(points) - margin)
        )

    def width(self, points: Floats) -> Floats:
        """Compute half the width of what has to stay free, (...,), at the height of points, (..., 3)."""
        jaw = np.clip((0.02 - points[..., 1]) / 0.09, 0, 1)
        return np.asarray(self.half_width * (1 - 0.25 * jaw), np.float32)

    def confine(self, points: Floats, margins: Floats) -> Floats:
        """Move points, (N, 3), sideways off the face, where that is near, with a margin, (N,), in m."""
        width = self.width(points) + margins
        near = self.inside(points, self.brow + 0.012) & (np.abs(points[:, 0]) > 0.45 * width)
        result = points.copy()
        result[near, 0] = np.sign(points[near, 0]) * width[near]
        result[near, 2] -= 0.6 * np.maximum(points[near, 2] - self.front - 0.015, 0)
        return result


def _skull() -> NDArray[np.intp]:
    return np.flatnonzero(height_above_hairline(load_head().mean) > 0)
