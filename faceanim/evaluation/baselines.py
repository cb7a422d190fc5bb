"""What a model must beat: copying the source, and warping it by the landmarks alone."""

import torch
from kornia.geometry.transform import get_tps_transform, warp_image_tps
from torch import Tensor

ANCHORS_A_SIDE = 5
"""Points along each border that hold the background still."""


def copy_source(source: Tensor, count: int) -> Tensor:
    """The source (1, 3, H, W) for each of `count` driving frames: (count, 3, H, W)."""
    return source.expand(count, -1, -1, -1)


def landmark_warp(source: Tensor, points_source: Tensor, points_driving: Tensor) -> Tensor:
    """The source warped by thin-plate splines so that its landmarks come to lie on each driving frame's.

    Args:
        source: (1, 3, H, W) in [0, 1].
        points_source: (P, 2), x then y, in [-1, 1] where -1 and 1 are the outer edges of the outer pixels.
        points_driving: (B, P, 2), the same landmarks of each driving frame.

    Returns:
        (B, 3, H, W) in [0, 1]; what lies outside the source repeats its border.
    """
    count = len(points_driving)
    anchors = border_anchors().to(points_source).expand(count, -1, -1)
    here = torch.cat((points_driving, anchors), dim=1).double()  # 70-odd points: float32 leaves a visible error
    there = torch.cat((points_source.expand(count, -1, -1), anchors), dim=1).double()
    # An output pixel asks where in the source it comes from: the spline goes from driving to source, and its
    # kernels sit where it starts. kornia centres them on its second argument, so it interpolates only
    # approximately when the two sets differ; solving from `here` to `here` + displacement keeps it exact.
    kernel_weights, affine_weights = spline(here, there)
    warped: Tensor = warp_image_tps(
        source.double().expand(count, -1, -1, -1),
        here,
        kernel_weights,
        affine_weights,
        align_corners=False,
        padding_mode="border",
    )
    return warped.to(source.dtype)
