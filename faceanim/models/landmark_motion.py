"""Motion and drawings of facial landmarks, in operations that ONNX supports.

Landmarks are iBUG's 68 (`faceanim.faces.landmark_sets`), in [-1, 1], the centers of the outermost pixels.
"""

import torch
from torch import Tensor

from faceanim.models.grids import identity_grid

NUM_LANDMARKS = 68
ANCHORS_PER_SIDE = 5
"""Points along each border that hold the background still."""
SOFTENING = 1e-4
"""Squared distance, in units of [-1, 1], added to that of a landmark: landmarks nearer than a third of a
pixel of 64 are averaged."""
RIDGE = 1e-3
"""Value added to the diagonal of the weighted covariance: where it vanishes, motion becomes translation."""
LINES = (
    (
        tuple(range(17)),  # jaw
        tuple(range(27, 31)),  # bridge of the nose
        tuple(range(31, 36)),  # base of the nose
    ),
    (
        tuple(range(17, 22)),  # brow, image left
        tuple(range(22, 27)),  # brow, image right
        (*range(36, 42), 36),  # eye, image left
        (*range(42, 48), 42),  # eye, image right
    ),
    (
        (*range(48, 60), 48),  # outer lips
        (*range(60, 68), 60),  # inner lips
    ),
)
"""Polylines through the landmarks that are drawn, by channel."""
DRAWN_CHANNELS = len(LINES)
LINE_WIDTH = 0.7
"""Standard deviation of a line's profile, in pixels."""


def find_present(source: Tensor, driving: Tensor) -> Tensor:
    """Return where both frames of each pair have landmarks, which are NaN otherwise: (B,) bool."""
    return (source + driving).isfinite().flatten(1).all(dim=1)


def border_anchors(like: Tensor) -> Tensor:
    """Return points along the border of a frame, (4 * (ANCHORS_PER_SIDE - 1), 2) in [-1, 1]."""
    grid = identity_grid(ANCHORS_PER_SIDE, ANCHORS_PER_SIDE, like)
    inner = slice(1, -1)
    return torch.cat((grid[0], grid[-1], grid[inner, 0], grid[inner, -1]))


def landmark_motions(source: Tensor, driving: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Interpolate the motion of landmarks by moving least squares, with the border held still.

    Affine deformation of Schaefer et al. (2006), section 2.1, solved for the displacement, so that equal
    landmarks give exactly the identity. On real faces, it predicts frames better than a thin-plate spline,
    and needs no linear system.

    Args:
        source: landmarks of the source, (B, P, 2).
        driving: landmarks of the driving frame, (B, P, 2).
        height: height of the grid.
        width: width of the grid.

    Returns:
        Where each pixel of the driving frame is read from the source, (B, height, width, 2): with weights
        that fall with the distance squared, a smooth motion, and with its fourth power, one that is more
        exact near the landmarks.
    """
    anchors = border_anchors(source).expand(len(source), -1, -1)
    points = torch.cat((driving, anchors), dim=1)
    displacement = torch.cat((source - driving, torch.zeros_like(anchors)), dim=1)
    grid = identity_grid(height, width, source).view(1, -1, 2)
    weights = 1 / (squared_distance(grid, points) + SOFTENING)
    smooth, exact = (
        fit_affine_motion(grid, points, displacement, power) for power in (weights, weights.square())
    )
    return smooth.view(-1, height, width, 2), exact.view(-1, height, width, 2)


def head_motion(source: Tensor, driving: Tensor, height: int, width: int) -> Tensor:
    """Compute the single affine motion that fits all landmarks best; see `landmark_motions`."""
    grid = identity_grid(height, width, source).view(1, -1, 2)
    weights = torch.ones_like(source[:, None, :, 0])
    return fit_affine_motion(grid, driving, source - driving, weights).view(-1, height, width, 2)


def squared_distance(positions: Tensor, points: Tensor) -> Tensor:
    """Compute the squared distances of positions (1, N, 2) from points (B, P, 2): (B, N, P).

    The error is below 1e-6, and the matrix product several times faster than exact differences.
    """
    squares = positions.square().sum(dim=-1)[..., None] + points.square().sum(dim=-1)[:, None]
    distance: Tensor = (squares - 2 * positions @ points.transpose(1, 2)).clamp(min=0)
    return distance


def fit_affine_motion(positions: Tensor, points: Tensor, displacement: Tensor, weights: Tensor) -> Tensor:
    """Move positions by the affine motion that fits the weighted displacements of points best.

    Args:
        positions: (1, N, 2).
        points: (B, P, 2).
        displacement: displacement of each point, (B, P, 2).
        weights: weights of the points for each position, (B, N, P), or (B, 1, P) for the same motion
            everywhere.

    Returns:
        The moved positions, (B, N, 2).
    """
    products = (points[..., :, None] * points[..., None, :]).flatten(-2)
    mixed = (points[..., :, None] * displacement[..., None, :]).flatten(-2)
    # All weighted sums in a single matrix product.
    ones = torch.ones_like(points[..., :1])
    sums = weights @ torch.cat((ones, points, displacement, products, mixed), dim=-1)
    means = sums[..., 1:] / sums[..., :1]
    center, shift, products, mixed = torch.split(means, [2, 2, 4, 4], dim=-1)
    xx, xy, _, yy = (products - (center[..., :, None] * center[..., None, :]).flatten(-2)).unbind(-1)
    rows = mixed - (center[..., :, None] * shift[..., None, :]).flatten(-2)
    xx, yy = xx + RIDGE, yy + RIDGE
    x, y = (positions - center).unbind(-1)
    determinant = xx * yy - xy * xy
    along_x, along_y = (yy * x - xy * y) / determinant, (xx * y - xy * x) / determinant
    moved: Tensor = (
        positions + shift + along_x[..., None] * rows[..., :2] + along_y[..., None] * rows[..., 2:]
    )
    return moved


def draw_landmarks(landmarks: Tensor, height: int, width: int) -> Tensor:
    """Draw lines through landmarks: outline and nose, brows and eyes, and lips.

    Args:
        landmarks: (B, 68, 2).
        height: height of the drawing.
        width: width of the drawing.

    Returns:
        (B, DRAWN_CHANNELS, height, width) in [0, 1].
    """
    grid = identity_grid(height, width, landmarks).view(1, -1, 2)
    pixel = 2 / (width - 1)
    channels = []
    for lines in LINES:
        starts = landmarks[:, [point for line in lines for point in line[:-1]]]
        ends = landmarks[:, [point for line in lines for point in line[1:]]]
        distance = segment_distance(grid, starts, ends).amin(dim=-1)
        channels.append(torch.exp(-0.5 * distance / (LINE_WIDTH * pixel) ** 2))
    return torch.stack(channels, dim=1).view(-1, DRAWN_CHANNELS, height, width)


def segment_distance(positions: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
    """Compute the squared distances of positions (1, N, 2) from segments (B, L, 2): (B, N, L)."""
    direction = ends - starts
    length = direction.square().sum(dim=-1).clamp(min=1e-9)[:, None]
    along = positions @ direction.transpose(1, 2) - (starts * direction).sum(dim=-1)[:, None]
    share = (along / length).clamp(0, 1)
    return squared_distance(positions, starts) - share * (2 * along - share * length)
