"""uint8 frames to float tensors in [0, 1], and back.

NumPy counterparts that need no torch are in `faceanim.media.frames`.
"""

import numpy as np
import torch
from torch import Tensor

from faceanim.media.frames import Frames


def to_float(frames: Frames) -> Tensor:
    """Convert frames (N, H, W, 3) in [0, 255] to (N, 3, H, W) float32 in [0, 1].

    The memory layout stays that of the frames, channels last.
    """
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float().div(255)


def to_uint8(frames: Tensor) -> Frames:
    """Convert frames (N, 3, H, W) in [0, 1] to (N, H, W, 3) in [0, 255], rounded and clamped."""
    levels = frames.mul(255).round().clamp(0, 255).to(torch.uint8)
    array: Frames = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return array
