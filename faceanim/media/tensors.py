"""Conversion of frames to float tensors in [0, 1] and back, and resizing of such tensors.

NumPy counterparts that need no torch are in `faceanim.media.frames`.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from faceanim.media.frames import Frames


def to_float(frames: Frames) -> Tensor:
    """Convert frames (N, H, W, 3) in [0, 255] to (N, 3, H, W) float32 in [0, 1].

    The memory layout of the frames, channels last, is preserved.
    """
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float().div(255)


def to_channels_last(frames: Frames) -> Tensor:
    """Convert frames as `to_float` does, and ensure the memory layout channels last.

    Networks for inference are in this layout, in which convolutions are fastest, above all in half precision.
    Nothing is copied as long as `to_float` preserves the layout of the frames.
    """
    return to_float(frames).contiguous(memory_format=torch.channels_last)


def to_uint8(frames: Tensor) -> Frames:
    """Convert frames (N, 3, H, W) in [0, 1] to (N, H, W, 3) in [0, 255], rounded and clamped.

    The tensor may be on any device; the array is contiguous.
    """
    levels = frames.mul(255).round().clamp(0, 255).to(torch.uint8)
    array: Frames = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return array


def resize_frames(frames: Tensor, size: int) -> Tensor:
    """Resize square frames: area averaging when they shrink, bilinear when they grow.

    Args:
        frames: (B, 3, H, H), float.
        size: side of the resized frames, in pixels.

    Returns:
        (B, 3, size, size).
    """
    if frames.shape[-1] > size:
        return F.interpolate(frames, size=(size, size), mode="area")
    return F.interpolate(frames, size=(size, size), mode="bilinear", align_corners=False)
