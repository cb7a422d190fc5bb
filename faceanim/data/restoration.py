"""Batches for the super-resolution network: what is to be restored, and what from."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from faceanim.config import TrainSuperResolutionConfig
from faceanim.data.dataset import CropFrames, mirror, random_tint, tinted, to_tensor
from faceanim.data.degrade import degrade
from faceanim.data.pictures import Frame


class Restoration(NamedTuple):
    """A batch; all RGB in [0, 1]. Of the B frames wanted, G are to be restored from the generator's output.

    Attributes:
        wanted: (B, 3, H, W), crops as stored.
        sources: (G, 3, H, W), other frames of the crops of the first G wanted, for the generator to animate.
        degraded: (B - G, 3, H / factor, W / factor), the other wanted frames, degraded.
    """

    wanted: Tensor
    sources: Tensor
    degraded: Tensor


class RestorationBatches(Dataset[Restoration]):
    """Batches of frames to restore; the one at a step depends on (seed, step) alone.

    Args:
        frames: the crops.
        config: the size of a batch, the seed, the share for the generator, how the rest is degraded.
    """

    def __init__(self, frames: CropFrames, config: TrainSuperResolutionConfig) -> None:
        self.frames = frames
        self.config = config

    def __getitem__(self, step: int) -> Restoration:
        """The batch of a step, some of its frames mirrored, all of them tinted."""
        rng = np.random.default_rng((self.config.seed, step))
        generated = rng.binomial(self.config.batch_size, self.config.generated_share)
        pairs = [self._pair(rng) for _ in range(self.config.batch_size)]
        factor = self.config.model.factor
        degraded = [degrade(wanted, factor, self.config.degrade, rng) for _, wanted in pairs[generated:]]
        side = len(pairs[0][1])
        return Restoration(
            wanted=stacked([wanted for _, wanted in pairs], side),
            sources=stacked([source for source, _ in pairs[:generated]], side),
            degraded=stacked(degraded, side // factor),
        )

    def _pair(self, rng: np.random.Generator) -> tuple[Frame, Frame]:
        source, wanted = self.frames.pair(rng)[:2]
        if rng.random() < 0.5:
            source, wanted = mirror(source), mirror(wanted)
        tint = random_tint(rng)
        return tinted(source, *tint), tinted(wanted, *tint)


def stacked(frames: list[Frame], side: int) -> Tensor:
    """Frames (H, W, 3) of this side as (N, 3, H, W) in [0, 1]; N may be 0."""
    return to_tensor(np.stack(frames)) if frames else torch.empty(0, 3, side, side)
