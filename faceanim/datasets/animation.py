"""Batches of source and driving frames, augmented, with the places of their guided keypoints."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceanim.config import AugmentConfig, TrainAnimationConfig
from faceanim.datasets.frames import (
    BatchDataset,
    Crop,
    CropFrames,
    mirror_frame,
    random_color_table,
    to_batch,
)
from faceanim.faces.landmark_sets import MIRRORED_GUIDES, compute_guides
from faceanim.media.frames import Frame

Points = NDArray[np.float32]
NO_GUIDES: Points = np.zeros((0, 2), np.float32)


@dataclass(frozen=True)
class GuidedPair:
    """Two frames of one crop, with the places of their guided keypoints.

    Attributes:
        frames: source and driving, each (S, S, 3), RGB in [0, 255].
        guides: of each, (G, 2), x then y in pixels, 0 being the first pixel's centre; G is 0 without guides.
    """

    frames: tuple[Frame, Frame]
    guides: tuple[Points, Points]


def augment_pair(pair: GuidedPair, config: AugmentConfig, rng: np.random.Generator) -> GuidedPair:
    """Mirror, move, tint and darken a pair."""
    size = len(pair.frames[0])
    if config.mirror and rng.random() < 0.5:
        pair = mirror_pair(pair)
    matrix = random_affine(size, config, rng)
    table = random_color_table(config.color_jitter, rng)
    source, driving = (cv2.LUT(warp_frame(frame, matrix), table) for frame in pair.frames)
    source_guides, driving_guides = (warp_points(points, matrix) for points in pair.guides)
    return GuidedPair((source, driving), (source_guides, driving_guides))


def mirror_pair(pair: GuidedPair) -> GuidedPair:
    """Left and right changed: a left eye becomes a right one."""
    last = len(pair.frames[0]) - 1
    source, driving = (mirror_frame(frame) for frame in pair.frames)
    if len(pair.guides[0]) == 0:
        return replace(pair, frames=(source, driving))
    sides = np.array([-1, 1], np.float32), np.array([last, 0], np.float32)
    guides = [(points * sides[0] + sides[1])[MIRRORED_GUIDES] for points in pair.guides]
    return GuidedPair((source, driving), (guides[0], guides[1]))


def random_affine(size: int, config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """A turn, a scale, a stretch of the width and a shift, all about the centre: a (2, 3) matrix."""
    centre = (size - 1) / 2
    scale = np.exp(rng.uniform(-1, 1) * np.log1p(config.scale))
    turn = rng.uniform(-1, 1) * config.rotation
    matrix = np.asarray(cv2.getRotationMatrix2D((centre, centre), turn, scale), np.float64)
    stretch = np.exp(rng.uniform(-1, 1) * np.log1p(config.stretch))
    matrix[0] = stretch * (matrix[0] - [0, 0, centre]) + [0, 0, centre]
    matrix[:, 2] += rng.uniform(-1, 1, size=2) * config.shift * size
    return matrix


def warp_frame(frame: Frame, matrix: NDArray[np.float64]) -> Frame:
    """The frame under an affine matrix, its border repeated."""
    height, width = frame.shape[:2]
    return np.asarray(
        cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def warp_points(points: Points, matrix: NDArray[np.float64]) -> Points:
    """Where points (G, 2) of a frame lie once `moved` has moved it."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)


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


class PairDataset(BatchDataset[PairBatch]):
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

    def sample(self, rng: np.random.Generator) -> tuple[Crop, list[int]]:
        """Choose a sample: a crop, a source and a driving frame of it."""
        return self.frames.sample_pair(rng, self.config.num_driving_candidates)

    def __getitem__(self, step: int) -> PairBatch:
        """The pairs of a step, the two frames of each augmented alike."""
        pairs = [self._pair(rng) for rng in self.make_rngs(step)]
        source, driving = (to_batch(frames) for frames in zip(*(p.frames for p in pairs), strict=True))
        guides = (np.stack(points) for points in zip(*(p.guides for p in pairs), strict=True))
        return PairBatch(source, driving, *(pixels_to_grid(each, source.shape[-1]) for each in guides))

    def _pair(self, rng: np.random.Generator) -> GuidedPair:
        pair = self.frames.load_pair(*self.sample(rng))
        guides = self._guides(pair.source_points), self._guides(pair.driving_points)
        return augment_pair(GuidedPair((pair.source, pair.driving), guides), self.config.augment, rng)

    def _guides(self, points: Points | None) -> Points:
        if points is None or self.config.losses.landmarks == 0:
            return NO_GUIDES
        return compute_guides(points)


def pixels_to_grid(points: Points, size: int) -> Tensor:
    """Points (B, G, 2) in pixels of a frame of that side in [-1, 1]: the ends are centres of outer pixels."""
    return torch.from_numpy(points) * (2 / (size - 1)) - 1
