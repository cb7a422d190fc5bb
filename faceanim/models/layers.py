"""The blocks that the dense motion network and the generator are made of."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_norm_relu(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    """Convolution that keeps the size, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside the identity, normalised before (He et al., 2016)."""

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
        """(B, channels, h, w) to the same."""
        out: Tensor = features + self.block(features)
        return out


class Hourglass(nn.Module):
    """A U-Net: `downs` halvings, as many doublings, the features of each level concatenated on the way up.

    Args:
        inputs: channels in.
        channels: channels of the first level; doubled at each halving, up to `max_channels`.
        downs: halvings; the input's sides must be multiples of 2 ** downs.
        blocks: residual blocks at the narrowest level.
        max_channels: ceiling of the doubling.
    """

    def __init__(
        self, inputs: int, channels: int, downs: int, blocks: int = 0, max_channels: int = 512
    ) -> None:
        super().__init__()
        widths = [min(max_channels, channels * 2**level) for level in range(downs + 1)]
        self.first = conv_norm_relu(inputs, widths[0], kernel=7)
        self.down = nn.ModuleList(conv_norm_relu(widths[i], widths[i + 1]) for i in range(downs))
        self.middle = nn.Sequential(*(ResidualBlock(widths[-1]) for _ in range(blocks)))
        self.up = nn.ModuleList(
            conv_norm_relu(widths[i + 1] + widths[i], widths[i]) for i in reversed(range(downs))
        )
        self.outputs = widths[0]

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, outputs, h, w)."""
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
