"""Building blocks of the networks."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_norm_relu(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    """Build a convolution that keeps the size, followed by batch normalization and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class ResidualBlock(nn.Module):
    """Residual block of two 3x3 convolutions, each after batch normalization and ReLU (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, channels, h, w) to the same shape."""
        out: Tensor = features + self.block(features)
        return out


class Hourglass(nn.Module):
    """U-Net whose levels halve the size and double it again, with skips concatenated on the way up.

    Args:
        inputs: input channels.
        widths: channels of each level, from the full size down; the input's sides must be multiples of
            2 ** (levels - 1).
        blocks: residual blocks at the smallest level.
    """

    def __init__(self, inputs: int, widths: Sequence[int], blocks: int = 0) -> None:
        super().__init__()
        levels = list(pairwise(widths))
        self.first = conv_norm_relu(inputs, widths[0], kernel=7)
        self.down = nn.ModuleList(conv_norm_relu(larger, smaller) for larger, smaller in levels)
        self.middle = nn.Sequential(*(ResidualBlock(widths[-1]) for _ in range(blocks)))
        self.up = nn.ModuleList(
            conv_norm_relu(smaller + larger, larger) for larger, smaller in reversed(levels)
        )
        self.outputs = widths[0]

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, outputs, h, w)."""
        features = self.first(features)
        skips = []
        for down in self.down:
            skips.append(features)
            features = down(F.avg_pool2d(features, 2))
        features = self.middle(features)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            larger = F.interpolate(features, scale_factor=2.0, mode="nearest")
            features = up(torch.cat((larger, skip), dim=1))
        return features


def single_precision(like: Tensor) -> AbstractContextManager[None]:
    """Suspend autocast on a tensor's device; without autocast do nothing, which the exporter requires."""
    device = like.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()
