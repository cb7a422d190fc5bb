"""Coordinate grids and warps, all in one convention: -1 and 1 are the centers of the outermost pixels.

A grid is therefore a `linspace(-1, 1)`, enlarging it bilinearly with align_corners=True yields a grid again,
and the identity warp is exact at every size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def identity_grid(height: int, width: int, like: Tensor) -> Tensor:
    """Return the grid that warps an image onto itself: (height, width, 2), x then y in [-1, 1]."""
    y = torch.linspace(-1, 1, height, device=like.device, dtype=like.dtype)
    x = torch.linspace(-1, 1, width, device=like.device, dtype=like.dtype)
    return torch.stack((x.expand(height, width), y[:, None].expand(height, width)), dim=-1)


def warp(image: Tensor, grid: Tensor) -> Tensor:
    """Warp an image bilinearly (B_w of eq. 1); positions outside it take the border's value.

    Args:
        image: (B, C, H, W).
        grid: (B, h, w, 2), x then y in [-1, 1]: the position that each output pixel is read from.

    Returns:
        (B, C, h, w).
    """
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)


def resize_grid(grid: Tensor, height: int, width: int) -> Tensor:
    """Enlarge a grid bilinearly: (B, h, w, 2) to (B, height, width, 2)."""
    if grid.shape[1:3] == (height, width):
        return grid
    channels_first = grid.permute(0, 3, 1, 2)
    resized = F.interpolate(channels_first, (height, width), mode="bilinear", align_corners=True)
    return resized.permute(0, 2, 3, 1)


def resize_map(maps: Tensor, size: int) -> Tensor:
    """Resize square maps (B, C, h, h) to (B, C, size, size): averaged if smaller, else bilinear."""
    if maps.shape[-1] == size:
        return maps
    if size < maps.shape[-1]:
        return F.interpolate(maps, (size, size), mode="area")
    return F.interpolate(maps, (size, size), mode="bilinear", align_corners=True)


def shrink(image: Tensor, size: int) -> Tensor:
    """Resize square images by area averaging: (B, C, H, H) to (B, C, size, size)."""
    return image if image.shape[-1] == size else F.interpolate(image, (size, size), mode="area")


def pyramid(image: Tensor, levels: int) -> list[Tensor]:
    """Build an image pyramid: the image (B, C, H, W), then averages, each half the side of the previous."""
    images = [image]
    while len(images) < levels:
        images.append(F.avg_pool2d(images[-1], 2))
    return images
