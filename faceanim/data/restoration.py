"""Batches for the super-resolution network: what is to be restored, and what from."""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from faceanim.config import TrainSuperResolutionConfig
from faceanim.data.dataset import Batches, Crop, CropFrames, mirror, random_tint, to_tensor
from faceanim.data.degrade import degrade, resized
from faceanim.data.pictures import Frame


class Restoration(NamedTuple):
    """A batch; all frames RGB in [0, 1].

    Attributes:
        wanted: (B, 3, H, W), crops as stored.
        small: (B, 3, H / factor, W / factor), the same degraded, or where `generated` only smaller.
        source: the same shape, another frame of the crop, to be animated with `small`.
        generated: (B,) bool, whether to restore from what the animation model makes of them.
        order: (B, 3), an order of the colours.
    """

    wanted: Tensor
    small: Tensor
    source: Tensor
    generated: Tensor
    order: Tensor


class RestorationBatches(Batches[Restoration]):
    """Batches of frames to restore, some of them mirrored, all of them tinted.

    Args:
        frames: the crops.
        config: the size of a batch, the seed, the share for the animation model, how the rest is degraded.
        rank: see `Batches`.
        processes: see `Batches`.
    """

    def __init__(
        self, frames: CropFrames, config: TrainSuperResolutionConfig, rank: int = 0, processes: int = 1
    ) -> None:
        super().__init__(frames, config.batch_size, config.seed, rank, processes)
        self.config = config

    def draw(self, rng: np.random.Generator) -> tuple[Crop, list[int]]:
        """Choose a sample: a crop, and two frames of it."""
        return self.frames.choose_pair(rng)

    def __getitem__(self, step: int) -> Restoration:
        """The frames of a step."""
        samples = [self._sample(rng) for rng in self.generators(step)]
        wanted, small, source, generated, order = zip(*samples, strict=True)
        return Restoration(
            wanted=to_tensor(np.stack(wanted)),
            small=to_tensor(np.stack(small)),
            source=to_tensor(np.stack(source)),
            generated=torch.tensor(generated),
            order=torch.from_numpy(np.stack(order)),
        )

    def _sample(self, rng: np.random.Generator) -> tuple[Frame, Frame, Frame, bool, np.ndarray]:
        pair = self.frames.pair(*self.draw(rng))
        source, wanted = pair.source, pair.driving
        if rng.random() < 0.5:
            source, wanted = mirror(source), mirror(wanted)
        table = random_tint(self.config.colour, rng)
        source, wanted = cv2.LUT(source, table), cv2.LUT(wanted, table)
        order, generated = rng.permutation(3), rng.random() < self.config.generated_share
        factor = self.config.model.factor
        small = resized(wanted, factor) if generated else degrade(wanted, factor, self.config.degrade, rng)
        return wanted, small, resized(source, factor), generated, order
