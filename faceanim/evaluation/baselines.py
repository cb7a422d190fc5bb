"""What a model must beat: copying the source, and warping it by the landmarks alone."""

import torch
from kornia.geometry.transform import warp_image_tps
from torch import Tensor

ANCHORS_A_SIDE = 5
"""Points along each border that hold the background still."""
SMOOTHING = 1e-4
"""Added to the splines' diagonal, so that landmarks that coincide (closed lips) can be solved."""


def copy_source(source: Tensor, count: int) -> Tensor:
    """The source (1, 3, H, W) for each of `count` driving frames: (count, 3, H, W)."""
    return source.expand(count, -1, -1, -1)


def landmark_warp(source: Tensor, points: Tensor, detected: Tensor) -> Tensor:
    """The source warped by thin-plate splines so that its landmarks come to lie on each driving frame's.

    Args:
        source: (1, 3, H, W) in [0, 1].
        points: (1 + B, P, 2), the source's landmarks and each driving frame's, x then y, in [-1, 1], the ends
            being the outer edges of the outer pixels.
        detected: (1 + B,), whether there are landmarks at all; without one's own or the source's, a frame
            is a copy of the source.

    Returns:
        (B, 3, H, W) in [0, 1]; what lies outside the source repeats its border.
    """
    frames = copy_source(source, len(points) - 1).clone()
    anchors = border_anchors().to(source.device)
    there = torch.cat((points[0].double(), anchors))[None]
    # One by one: kornia holds the distances of all pixels to all landmarks, several times over.
    for index in (detected[1:] & detected[0]).nonzero().flatten().tolist():
        # An output pixel asks where in the source it comes from: the spline goes from driving to source.
        here = torch.cat((points[1 + index].double(), anchors))[None]
        spline = (part.to(source.dtype) for part in (here, *thin_plate_spline(here, there)))
        frames[index] = warp_image_tps(source, *spline, align_corners=False, padding_mode="border")[0]
    return frames.clamp(0, 1)


def border_anchors() -> Tensor:
    """Points along the image's border, (4 * (ANCHORS_A_SIDE - 1), 2) in [-1, 1]."""
    axis = torch.linspace(-1, 1, ANCHORS_A_SIDE, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).reshape(-1, 2)
    return grid[grid.abs().amax(dim=1) == 1]


def thin_plate_spline(here: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """The spline (Bookstein, 1989) that carries `here` to `there`, for kornia's warps with centres `here`.

    kornia's own solver has no smoothing, so coinciding landmarks make it fail.

    Args:
        here: (B, N, 2).
        there: (B, N, 2).

    Returns:
        Weights of the kernels (B, N, 2), and of the affine part (B, 3, 2): the constant's row first.
    """
    squared = torch.cdist(here, here, compute_mode="donot_use_mm_for_euclid_dist").square()
    kernel = torch.xlogy(squared, squared) / 2  # r^2 log r
    kernel = kernel + SMOOTHING * torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)
    affine = torch.cat((torch.ones_like(here[..., :1]), here), dim=-1)
    zeros = affine.new_zeros(len(here), 3, 3)
    system = torch.cat(
        (torch.cat((kernel, affine), dim=-1), torch.cat((affine.transpose(1, 2), zeros), dim=-1)), dim=1
    )
    weights = torch.linalg.solve(system, torch.cat((there, zeros[..., :2]), dim=1))
    return weights[:, :-3], weights[:, -3:]
