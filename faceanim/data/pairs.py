"""Batches of source and driving frames, augmented, with the places of their guided keypoints."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from faceanim.config import TrainAnimationConfig
from faceanim.data.augment import NO_GUIDES, GuidedPair, Points, augment
from faceanim.data.dataset import CropFrames, to_tensor
from faceanim.data.pictures import Frame
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


class PairBatches(Dataset[PairBatch]):
    """Batches of pairs; the one at a step depends on (seed, step) alone.

    So a run that resumes needs no sampler's state, and workers may fetch steps in any order.

    Args:
        frames: of the training split.
        config: names the seed, the batch size, the augmentation and how pairs are drawn.
    """

    def __init__(self, frames: CropFrames, config: TrainAnimationConfig) -> None:
        self.frames = frames
        self.config = config
        self.guided = config.losses.landmarks > 0

    def __getitem__(self, step: int) -> PairBatch:
        """The pairs of a step, the two frames of each augmented alike."""
        rng = np.random.default_rng((self.config.seed, step))
        pairs = [self._pair(rng) for _ in range(self.config.batch_size)]
        sources, drivings = zip(*(pair.frames for pair in pairs), strict=True)
        guides = [
            to_grid(np.stack(points), sources[0]) for points in zip(*(p.guides for p in pairs), strict=True)
        ]
        return PairBatch(to_tensor(np.stack(sources)), to_tensor(np.stack(drivings)), *guides)

    def _pair(self, rng: np.random.Generator) -> GuidedPair:
        pair = self.frames.pair(rng, self.config.pair_candidates)
        points = (pair.source_points, pair.driving_points) if self.guided else (None, None)
        source_guides, driving_guides = (NO_GUIDES if each is None else guide_points(each) for each in points)
        return augment(
            GuidedPair((pair.source, pair.driving), (source_guides, driving_guides)), self.config.augment, rng
        )


def to_grid(points: Points, frame: Frame) -> Tensor:
    """Points (B, G, 2) in pixels of a frame, in [-1, 1], the ends being the centres of the outer pixels."""
    return torch.from_numpy(points) * (2 / (len(frame) - 1)) - 1
