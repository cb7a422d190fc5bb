"""Batches in which some pairs are rendered, with the true motion and visibility that real ones lack."""

import cv2
import numpy as np
import torch
from torch import Tensor

from faceanim.config import TrainAnimationConfig
from faceanim.datasets.animation import PairBatch, PairDataset, unknown_truth
from faceanim.datasets.frames import CropFrames, random_color_table
from faceanim.faces.landmark_sets import compute_guides
from faceanim.media.frames import Frame
from faceanim.media.tensors import to_float, to_uint8
from faceanim.synthetic.pairs import RenderedPairs

RENDERED_SEED = 1 << 20
"""Offset of the rendered people's seed from that of the run, far from the seeds of the embedded sample."""


class MixedPairs(PairDataset):
    """Batches of pairs of crops, the first few of which are rendered instead.

    Args:
        frames: frames of the training split.
        config: see `PairDataset`; `rendered_prob` is the fraction of rendered pairs.
        rank: see `BatchDataset`.
        processes: see `BatchDataset`.
    """

    def __init__(
        self, frames: CropFrames, config: TrainAnimationConfig, rank: int = 0, processes: int = 1
    ) -> None:
        super().__init__(frames, config, rank, processes)
        count = round(config.rendered_prob * config.batch_size)
        self.slots = range(rank, count, processes)
        self.samples = range(rank + len(self.slots) * processes, config.batch_size, processes)
        self.rendered = RenderedPairs(
            config.model.size, config.batch_size, config.steps + 1, RENDERED_SEED + config.seed
        )

    def __getitem__(self, step: int) -> PairBatch:
        """Return the pairs of a step, the rendered ones first."""
        parts = []
        if self.slots:
            parts.append(self._render(step))
        if self.samples:
            grid, visible = unknown_truth(len(self.samples), self.config.model.size)
            parts.append(super().__getitem__(step)._replace(grid=grid, visible=visible))
        return PairBatch(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    def _render(self, step: int) -> PairBatch:
        batch = self.rendered.render(step, self.slots)
        rngs = [np.random.default_rng((self.seed, step, slot, 1)) for slot in self.slots]
        tables = [random_color_table(self.config.augment.color_jitter, rng) for rng in rngs]
        withheld = torch.tensor([rng.random() < self.config.landmark_dropout for rng in rngs])[:, None, None]
        return PairBatch(
            source=recolor(batch.source, tables),
            driving=recolor(batch.driving, tables),
            source_guides=stack_guides(batch.source_landmarks),
            driving_guides=stack_guides(batch.driving_landmarks),
            source_landmarks=batch.source_landmarks.masked_fill(withheld, torch.nan),
            driving_landmarks=batch.driving_landmarks.masked_fill(withheld, torch.nan),
            grid=batch.grid,
            visible=batch.visible,
        )


def stack_guides(landmarks: Tensor) -> Tensor:
    """Compute the targets of guided keypoints (B, G, 2) from landmarks (B, 68, 2)."""
    return torch.from_numpy(np.stack([compute_guides(points) for points in landmarks.numpy()]))


def recolor(frames: Tensor, tables: list[Frame]) -> Tensor:
    """Apply a lookup table to each of a batch of frames (B, 3, S, S) in [0, 1]."""
    recolored = [cv2.LUT(frame, table) for frame, table in zip(to_uint8(frames), tables, strict=True)]
    return to_float(np.stack(recolored)).contiguous()
