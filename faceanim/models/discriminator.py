"""Discriminator of eq. 4 and 5, with a score for each patch (PatchGAN, Isola et al., 2017)."""

from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class DiscriminatorOutput(NamedTuple):
    """Scores and features of a batch of frames.

    Attributes:
        score: score of each patch, (B, 1, H / 8, W / 8); closer to 1 where the frames look real.
        features: output of each of the three layers, (B, C, H / 2, W / 2) and smaller.
    """

    score: Tensor
    features: tuple[Tensor, ...]


class Discriminator(nn.Module):
    """Three strided convolutions with spectral normalization (Miyato et al., 2018), then a score per patch.

    Args:
        channels: channels of the first layer; doubled at each further layer.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)
            )
            for inputs, outputs in pairwise((3, channels, 2 * channels, 4 * channels))
        )
        self.last = spectral_norm(nn.Conv2d(4 * channels, 1, 3, padding=1))

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        """Score frames (B, 3, H, W) in [0, 1]."""
        features = []
        out = 2 * image - 1
        for layer in self.layers:
            out = layer(out)
            features.append(out)
        return DiscriminatorOutput(self.last(out), tuple(features))
