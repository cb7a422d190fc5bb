"""Generator that paints from the source's features, for models that go beyond the paper.

The paper's generator sees only the warped source, never what the warp lost. Here, as in the thin-plate-spline
model (Zhao & Zhang, 2022), the features of the unwarped source are warped at several scales, each under a
mask of the dense motion network, and the lines of the landmarks say where eyes and lips are to be.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceanim.models.dense_motion import LANDMARK_MOTIONS, Motion, warp_by_each
from faceanim.models.grids import resize_grid, resize_map, warp
from faceanim.models.landmark_motion import DRAWN_CHANNELS
from faceanim.models.layers import ResidualBlock, conv_norm_relu, single_precision

Features = tuple[Tensor, ...]
"""A source, (B, 3, S, S), and its features: (B, C, S, S), and half the side at each further scale."""
WARP_BIAS = 3.0
"""Initial logit of the warped source among the images that the painting is mixed from; the others have 0."""


class Painter(nn.Module):
    """Network that paints R_n, and takes M_n from the dense motion.

    R_n is a mixture of the warped source and of the source as each motion of the landmarks alone would warp
    it, plus what is in none of them. Where motions disagree, a mixture errs less than any. Where nothing
    moves, R_n is the warped source, so that a source driven by itself stays as it is.

    Args:
        channels: channels of each scale, from the full size down.
        blocks: residual blocks at the smallest scale.
        uses_landmarks: whether there are motions and drawings of landmarks.
    """

    def __init__(self, channels: Sequence[int], blocks: int, uses_landmarks: bool) -> None:
        super().__init__()
        drawn = 2 * DRAWN_CHANNELS * uses_landmarks
        images = 1 + LANDMARK_MOTIONS * uses_landmarks
        levels = list(pairwise(channels))
        self.first = conv_norm_relu(3, channels[0], kernel=7)
        self.down = nn.ModuleList(conv_norm_relu(larger, smaller) for larger, smaller in levels)
        self.middle = nn.Sequential(
            conv_norm_relu(channels[-1] + drawn, channels[-1]),
            *(ResidualBlock(channels[-1]) for _ in range(blocks)),
        )
        self.up = nn.ModuleList(
            conv_norm_relu(smaller + larger + drawn, larger) for larger, smaller in reversed(levels)
        )
        self.last = nn.Conv2d(channels[0] + 3 * images, 3 + images, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        with torch.no_grad():
            assert self.last.bias is not None
            self.last.bias.zero_()
            self.last.bias[3] = WARP_BIAS

    @property
    def num_masks(self) -> int:
        """Number of masks that it takes: M_n, then one for each scale."""
        return 2 + len(self.down)

    def encode(self, source: Tensor) -> Features:
        """Compute the features of a source (B, 3, S, S), which serve any number of driving frames."""
        features = [self.first(source)]
        for down in self.down:
            features.append(down(F.avg_pool2d(features[-1], 2)))
        return (source, *features)

    def forward(
        self, warped: Tensor, deformation: Tensor, motion: Motion, features: Features
    ) -> tuple[Tensor, Tensor]:
        """Paint the driving frame.

        Args:
            warped: E_n, (B, 3, S, S) in [0, 1].
            deformation: F_n at full size, (B, S, S, 2).
            motion: the motion, with its masks.
            features: features of the source by `encode`.

        Returns:
            R_n, (B, 3, S, S), about [0, 1] but not clamped, and M_n, (B, 1, S, S) in [0, 1].
        """
        assert motion.masks is not None
        assert motion.change is not None
        source, *scales = features
        moved = [
            self._move(feature, motion, motion.masks[:, scale : scale + 1], deformation)
            for scale, feature in enumerate(scales, start=1)
        ]
        painted = self.middle(moved[-1])
        for up, skip in zip(self.up, reversed(moved[:-1]), strict=True):
            larger = F.interpolate(painted, scale_factor=2.0, mode="nearest")
            painted = up(torch.cat((larger, skip), dim=1))
        images = collect_images(source, warped, motion)
        out = self.last(torch.cat((painted, images.flatten(1, 2)), dim=1)).float()
        with single_precision(source):
            mixture = (out[:, 3:].softmax(dim=1)[:, :, None] * (images - warped[:, None])).sum(dim=1)
            change = resize_map(motion.change, warped.shape[-1])
            return warped + change * (mixture + out[:, :3]), resize_map(motion.masks[:, :1], warped.shape[-1])

    def _move(self, feature: Tensor, motion: Motion, mask: Tensor, deformation: Tensor) -> Tensor:
        """Warp the features of a scale, hide those that do not show, and add the lines."""
        size = feature.shape[-1]
        # Positions in bfloat16 would be off by an eighth of a pixel at 64, and by half a pixel at 256.
        with single_precision(feature):
            warped = warp(feature.float(), resize_grid(deformation, size, size))
            moved = (warped * resize_map(mask, size)).to(feature.dtype)
            if motion.drawing is None:
                return moved
            return torch.cat((moved, resize_map(motion.drawing, size).to(feature.dtype)), dim=1)


def collect_images(source: Tensor, warped: Tensor, motion: Motion) -> Tensor:
    """Collect the images that a painting is mixed from: (B, N, 3, S, S), the warped source first."""
    images = warped[:, None]
    if motion.by_landmarks is None:
        return images
    return torch.cat((images, warp_by_each(source, motion.by_landmarks)), dim=1)
