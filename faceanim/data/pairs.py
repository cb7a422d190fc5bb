"""Batches of source and driving frames, augmented, with the places of their guided keypoints."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from faceanim.config import TrainAnimationConfig
from faceanim.data.augment import NO_GUIDES, GuidedPair, Points, augment
from faceanim.data.dataset import Batches, Crop, CropFrames, to_tensor
from faceanim.faces.guides import guide_points


class PairBatch(NamedTuple):
    """Pairs to train on.

    Attributes:
        source: (B, 3, S, S), RGB in [0, 1].
        driving: likewise.
        source_guides: (B, G, 2), where the source's guided keypoints belong, x, y in [-1, 1]; G is 0 where
            none are guided.
        driving_guides: likewise.
    """

    source: Tensor
    driving: Tensor
    source_guides: Tensor
    driving_guides: Tensor


class PairBatches(Batches[PairBatch]):
    """Batches of pairs.

    Args:
        frames: of the training split.
        config: names the seed, the batch size, the augmentation and how pairs are drawn.
        rank: see `Batches`.
        processes: see `Batches`.
    """

    def __init__(
        self, frames: CropFrames, config: TrainAnimationConfig, rank: int = 0, processes: int = 1
    ) -> None:
        super().__init__(frames, config.batch_size, config.seed, rank, processes)
        self.config = config

    def draw(self, rng: np.random.Generator) -> tuple[Crop, list[int]]:
        """Choose a sample: a crop, a source and a driving frame of it."""
        return self.frames.choose_pair(rng, self.config.pair_candidates)

    def __getitem__(self, step: int) -> PairBatch:
        """The pairs of a step, the two frames of each augmented alike."""
        pairs = [self._pair(rng) for rng in self.generators(step)]
        sources, drivings = (np.stack(frames) for frames in zip(*(p.frames for p in pairs), strict=True))
        guides = (np.stack(points) for points in zip(*(p.guides for p in pairs), strict=True))
        size = sources.shape[1]
        return PairBatch(to_tensor(sources), to_tensor(drivings), *(to_grid(each, size) for each in guides))

    def _pair(self, rng: np.random.Generator) -> GuidedPair:
        pair = self.frames.pair(*self.draw(rng))
        guides = self._guides(pair.source_points), self._guides(pair.driving_points)
        return augment(GuidedPair((pair.source, pair.driving), guides), self.config.augment, rng)

    def _guides(self, points: Points | None) -> Points:
        if points is None or self.config.losses.landmarks == 0:
            return NO_GUIDES
        return guide_points(points)


def to_grid(points: Points, size: int) -> Tensor:
    """Points (B, G, 2) in pixels of a frame of that side in [-1, 1]: the ends are centres of outer pixels."""
    return torch.from_numpy(points) * (2 / (size - 1)) - 1
