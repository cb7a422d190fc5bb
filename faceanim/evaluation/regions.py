"""Regions of driving frames, and PSNR within them: where people look, and what the source hides.

Landmarks delimit the regions, so every method is measured in the same pixels, whatever it predicts. Points
are x then y in [-1, 1], where -1 and 1 are the outer edges of the frame, in iBUG's scheme of 68 or
MediaPipe's of 478. Margins are in face sizes (see `measure_face`), about 6 cm each.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from faceanim.errors import FaceanimError
from faceanim.evaluation.image_metrics import PSNR_CAP_DB
from faceanim.evaluation.methods import fit_thin_plate_spline
from faceanim.faces.landmark_sets import IBUG68
from faceanim.models.landmark_motion import border_anchors

LANDMARK_REGIONS = ("mouth", "eyes", "face", "outside")
"""Regions that do not overlap, from the landmarks of the driving frame alone; see `find_regions`."""
DISOCCLUDED = "disoccluded"
"""Region across the others, from the landmarks of both frames or from truth; see `find_disoccluded`."""
REGIONS = (*LANDMARK_REGIONS, DISOCCLUDED)
MIN_PIXELS = 8
"""Number of pixels below which a region of a frame is not measured."""

BROWS, NOSE_BASE, LIPS, EYES = slice(17, 27), 33, slice(48, 60), (slice(36, 42), slice(42, 48))
"""Points of iBUG's scheme: brows, base of the nose, outer lips, and the outline of each eye."""
MOUTH_MARGIN, EYE_MARGIN = 0.1, 0.15
"""Distance from the outer lips, and from the eyes, up to which pixels count as mouth and eyes: with the lips'
edges, and with the lids."""
HEAD_MARGIN = 0.6
"""Distance from the face up to which pixels count as head. On rendered people, 1 % of the pixels outside show
skin of the head and 7 % hair, most of it long, and 16 % of the background is inside."""
DIRECTIONS = 64
"""Number of tangents that describe a hull, which is too large by up to 2.5 % of the length of an edge."""
WITHDRAWAL, HAIR_MARGIN = 0.2, 0.3
"""Distance by which the face must have withdrawn from a pixel for it to count as disoccluded, and distance
from the face up to which none does, because most people have hair there. Smaller withdrawals are within the
error of a silhouette that is estimated from landmarks."""
MAX_STRETCH = 2.0
"""Factor by which the source may be stretched in one direction before its pixels count as disoccluded."""


def find_clip_regions(points: Tensor, detected: Tensor, size: int) -> dict[str, Tensor]:
    """Find all REGIONS of the driving frames of a source; see `find_regions` and `find_disoccluded`.

    Args:
        points: (1 + B, P, 2), landmarks of the source and of each driving frame.
        detected: (1 + B,), whether a frame has landmarks.
        size: side of the frames, in pixels.

    Returns:
        Mask (B, 1, size, size) of each region.
    """
    disoccluded = find_disoccluded(points, detected, size)
    return find_regions(points[1:], detected[1:], size) | {DISOCCLUDED: disoccluded}


def find_regions(points: Tensor, detected: Tensor, size: int) -> dict[str, Tensor]:
    """Find the LANDMARK_REGIONS of driving frames.

    `mouth` is the hull of the outer lips and `eyes` those of the two eyes, each with a margin; `face` is the
    rest of the hull of all landmarks and an estimated forehead; `outside` is farther from that hull than most
    hair and ears. The ring between `face` and `outside` is in no region.

    Args:
        points: (B, P, 2), landmarks.
        detected: (B,), whether a frame has landmarks; if not, its regions are empty.
        size: side of the frames, in pixels.

    Returns:
        Mask (B, 1, size, size) of each region.

    Raises:
        FaceanimError: the landmarks are of an unknown scheme.
    """
    points = to_ibug68(points)
    scale = measure_face(points)[:, None, None]
    mouth = hull_distance(points[:, LIPS], size) <= MOUTH_MARGIN * scale
    left, right = (hull_distance(points[:, eye], size) <= EYE_MARGIN * scale for eye in EYES)
    eyes = (left | right) & ~mouth
    from_face = measure_distance_from_face(points, size)
    masks = (mouth, eyes, (from_face <= 0) & ~mouth & ~eyes, from_face > HEAD_MARGIN)
    found = detected[:, None, None]
    return {name: (mask & found)[:, None] for name, mask in zip(LANDMARK_REGIONS, masks, strict=True)}


def find_disoccluded(points: Tensor, detected: Tensor, size: int) -> Tensor:
    """Estimate which pixels of driving frames show what the source does not, as far as landmarks tell.

    Heads move before a background that stays, so a pixel beside the driving face counts where the source's
    head was, if the face has withdrawn from it. Within the head, the landmark warp tells: pixels count where
    it stretches the source more than MAX_STRETCH-fold or folds it, at an opening mouth or eye or a cheek that
    turns into view. So do pixels that it takes from outside the source.

    The round trip of the splines, to the source and back, is not used: smooth splines disagree where there
    are no landmarks rather than where content is hidden. On 240 rendered pairs, 7 % of the pixels that it
    misses by more than one pixel are hidden; of those found here 26 % are, of all 2.9 %. Use the truth where
    frames are rendered.

    Args:
        points: (1 + B, P, 2), landmarks of the source and of each driving frame.
        detected: (1 + B,), whether a frame has landmarks; without those of both frames a mask is empty.
        size: side of the frames, in pixels.

    Returns:
        (B, 1, size, size) mask.

    Raises:
        FaceanimError: the landmarks are of an unknown scheme.
    """
    points = to_ibug68(points)
    from_source, *from_driving = measure_distance_from_face(points, size)
    masks = torch.zeros(len(points) - 1, 1, size, size, dtype=torch.bool)
    # One frame at a time: the distances of all pixels from all landmarks take 22 MB at 256 pixels.
    for index in (detected[1:] & detected[0]).nonzero().flatten().tolist():
        from_face = from_driving[index]
        uncovered = (
            (from_face > HAIR_MARGIN) & (from_source < HEAD_MARGIN) & (from_face - from_source > WITHDRAWAL)
        )
        positions = map_to_source(points[1 + index], points[0], size)
        stretched = (smallest_stretch(positions) < 1 / MAX_STRETCH) & (from_face <= HEAD_MARGIN)
        masks[index, 0] = uncovered | stretched | (positions.abs() > 1).any(dim=-1)
    return masks


def masked_psnr(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Compute each frame's PSNR over the channels of the pixels in a mask.

    Args:
        prediction: (B, C, H, W) in [0, 1].
        target: same shape and range.
        mask: (B, 1, H, W), bool.

    Returns:
        (B,) in dB, up to PSNR_CAP_DB as `image_metrics.psnr`; NaN where a mask has fewer than MIN_PIXELS.
    """
    count = mask.sum(dim=(1, 2, 3))
    squared = ((prediction - target).square() * mask).sum(dim=(1, 2, 3))
    decibels = -10 * torch.log10(squared / (count * prediction.shape[1]))
    return torch.where(count < MIN_PIXELS, math.nan, decibels.clamp(max=PSNR_CAP_DB))


def compute_region_metrics(
    prediction: Tensor, target: Tensor, masks: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Compute `masked_psnr` in each region, by the metric's name: `psnr_mouth` and so on, (B,) each."""
    return {f"psnr_{name}": masked_psnr(prediction, target, mask) for name, mask in masks.items()}


def to_ibug68(points: Tensor) -> Tensor:
    """Select the landmarks that stand for iBUG's 68: (..., P, 2) to (..., 68, 2).

    Raises:
        FaceanimError: P is not the number of points of a supported scheme.
    """
    count = points.shape[-2]
    if count == len(IBUG68):
        return points
    if count <= max(IBUG68):
        raise FaceanimError(f"cannot find regions by {count} landmarks: unknown scheme")
    return points[..., list(IBUG68), :]


def measure_face(points: Tensor) -> Tensor:
    """Measure the size of faces: the root mean square distance of their landmarks from the mean landmark.

    Args:
        points: (B, 68, 2).

    Returns:
        (B,), in the units of the points. It depends less on turns than any distance between two landmarks.
    """
    centered = points - points.mean(dim=1, keepdim=True)
    return centered.square().sum(dim=-1).mean(dim=-1).sqrt()


def measure_distance_from_face(points: Tensor, size: int) -> Tensor:
    """Measure how far each pixel is from the hull of the face and its forehead.

    The forehead is as high as the brows are above the base of the nose (the rule of thirds), and arched.

    Args:
        points: (B, 68, 2).
        size: side of the frames, in pixels.

    Returns:
        (B, size, size) in face sizes, negative within the face; NaN where the points are.
    """
    brows = points[:, BROWS]
    up = brows.mean(dim=1) - points[:, NOSE_BASE]
    arch = torch.sin(torch.linspace(0, math.pi, brows.shape[1] + 2, dtype=points.dtype)[1:-1])
    forehead = brows + arch[:, None] * up[:, None]
    outline = torch.cat((points, forehead), dim=1)
    return hull_distance(outline, size) / measure_face(points)[:, None, None]


def hull_distance(points: Tensor, size: int) -> Tensor:
    """Measure how far each pixel's center is from the convex hull of points.

    A convex hull is the intersection of the half-planes that its tangents bound, and the largest of the
    distances from these is that from the hull.

    Args:
        points: (B, N, 2) in [-1, 1].
        size: side of the frame, in pixels.

    Returns:
        (B, size, size) in the units of the points, negative within the hull; NaN where the points are.
    """
    pixels = pixel_centers(size, points.dtype)
    distance = points.new_full((len(points), size, size), -math.inf)
    for angle in torch.arange(DIRECTIONS, dtype=points.dtype) * (2 * math.pi / DIRECTIONS):
        normal = torch.stack((angle.cos(), angle.sin()))
        support = (points @ normal).amax(dim=1)
        distance = torch.maximum(distance, pixels @ normal - support[:, None, None])
    return distance


def pixel_centers(size: int, dtype: torch.dtype) -> Tensor:
    """Return the centers of a frame's pixels, (size, size, 2), x then y in [-1, 1]."""
    axis = (2 * torch.arange(size, dtype=dtype) + 1) / size - 1
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)


def map_to_source(driving_points: Tensor, source_points: Tensor, size: int) -> Tensor:
    """Map the pixels of a driving frame to the source by the spline of the landmark warp.

    Args:
        driving_points: (P, 2).
        source_points: (P, 2).
        size: side of the frame, in pixels.

    Returns:
        (size, size, 2), positions in the source in [-1, 1], or outside it.
    """
    anchors = border_anchors(driving_points.double())
    centers, targets = (
        torch.cat((points.double(), anchors))[None] for points in (driving_points, source_points)
    )
    kernel_weights, affine = (part[0].float() for part in fit_thin_plate_spline(centers, targets))
    pixels = pixel_centers(size, torch.float32).view(-1, 2)
    # kornia's warp_points_tps computes the same, in six times the time and memory.
    squared = torch.cdist(pixels, centers[0].float(), compute_mode="donot_use_mm_for_euclid_dist").square()
    bent = torch.xlogy(squared, squared) / 2 @ kernel_weights  # r^2 log r
    return (bent + pixels @ affine[1:] + affine[0]).view(size, size, 2)


def smallest_stretch(positions: Tensor) -> Tensor:
    """Compute the smaller singular value of a map's Jacobian at each pixel, negative where the map folds.

    It is the length in the source of a step of length 1 in the driving frame, in the direction in which that
    is least: 1/2 where the source is stretched twofold.

    Args:
        positions: (H, W, 2), positions that pixels are mapped to, x then y, in [-1, 1].

    Returns:
        (H, W).
    """
    height, width = positions.shape[:2]
    dy, dx = torch.gradient(positions, spacing=(2 / height, 2 / width), dim=(0, 1))
    determinant = dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]
    squares = (dx.square() + dy.square()).sum(dim=-1)  # the sum of those of both singular values
    difference = (squares.square() - 4 * determinant.square()).clamp(min=0).sqrt()
    return determinant / ((squares + difference) / 2).sqrt().clamp(min=1e-6)
