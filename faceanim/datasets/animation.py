"""Batches of source and driving frames for the animation networks, with targets for the guided keypoints.

Both frames of a pair, and the points on them, are augmented identically, because the motion between the
frames must be preserved.
"""

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
from faceanim.faces.landmark_sets import MIRRORED_GUIDES, Points, compute_guides
from faceanim.media.frames import Frame

NO_GUIDES: Points = np.zeros((0, 2), np.float32)


@dataclass(frozen=True)
class GuidedPair:
    """Two frames of one crop, with the target positions of their guided keypoints.

    Attributes:
        frames: source and driving frame, each (S, S, 3), RGB in [0, 255].
        guides: target positions in each frame, (G, 2), x then y in pixels, 0 being the center of the first
            pixel; G is 0 without guides.
    """

    frames: tuple[Frame, Frame]
    guides: tuple[Points, Points]


class PairBatch(NamedTuple):
    """A batch of training pairs.

    Attributes:
        source: source frames, (B, 3, S, S), RGB in [0, 1].
        driving: driving frames, of the same shape and range.
        source_guides: target positions of the source's guided keypoints, (B, G, 2), x then y in [-1, 1]; G is
            0 without guides.
        driving_guides: the same for the driving frames.
    """

    source: Tensor
    driving: Tensor
    source_guides: Tensor
    driving_guides: Tensor


class PairDataset(BatchDataset[PairBatch]):
    """Batches of augmented pairs, one for each training step.

    Args:
        frames: frames of the training split.
        config: seed, batch size, augmentation and number of driving candidates.
        rank: see `BatchDataset`.
        processes: see `BatchDataset`.
    """

    def __init__(
        self, frames: CropFrames, config: TrainAnimationConfig, rank: int = 0, processes: int = 1
    ) -> None:
        super().__init__(frames, config.batch_size, config.seed, rank, processes)
        self.config = config

    def sample(self, rng: np.random.Generator) -> tuple[Crop, list[int]]:
        """Draw a crop and the numbers of a source and a driving frame of it."""
        return self.frames.sample_pair(rng, self.config.num_driving_candidates)

    def __getitem__(self, step: int) -> PairBatch:
        """Return the pairs of a step; the two frames of a pair are augmented identically."""
        pairs = [self._load_pair(rng) for rng in self.make_rngs(step)]
        source, driving = (to_batch(frames) for frames in zip(*(p.frames for p in pairs), strict=True))
        guides = (np.stack(points) for points in zip(*(p.guides for p in pairs), strict=True))
        return PairBatch(source, driving, *(pixels_to_grid(pixels, source.shape[-1]) for pixels in guides))

    def _load_pair(self, rng: np.random.Generator) -> GuidedPair:
        pair = self.frames.load_pair(*self.sample(rng))
        guides = self._compute_guides(pair.source_points), self._compute_guides(pair.driving_points)
        return augment_pair(GuidedPair((pair.source, pair.driving), guides), self.config.augment, rng)

    def _compute_guides(self, points: Points | None) -> Points:
        if points is None or self.config.losses.landmarks == 0:
            return NO_GUIDES
        return compute_guides(points)


def augment_pair(pair: GuidedPair, config: AugmentConfig, rng: np.random.Generator) -> GuidedPair:
    """Apply one random flip, affine transform and color change to both frames of a pair."""
    size = len(pair.frames[0])
    if config.mirror and rng.random() < 0.5:
        pair = mirror_pair(pair)
    matrix = random_affine(size, config, rng)
    table = random_color_table(config.color_jitter, rng)
    source, driving = (cv2.LUT(warp_frame(frame, matrix), table) for frame in pair.frames)
    source_guides, driving_guides = (warp_points(points, matrix) for points in pair.guides)
    return GuidedPair((source, driving), (source_guides, driving_guides))


def mirror_pair(pair: GuidedPair) -> GuidedPair:
    """Flip a pair horizontally; left and right guides swap, so that a left eye becomes a right one."""
    last = len(pair.frames[0]) - 1
    source, driving = (mirror_frame(frame) for frame in pair.frames)
    if len(pair.guides[0]) == 0:
        return replace(pair, frames=(source, driving))
    reflection = np.array([-1, 1], np.float32), np.array([last, 0], np.float32)
    guides = [(points * reflection[0] + reflection[1])[MIRRORED_GUIDES] for points in pair.guides]
    return GuidedPair((source, driving), (guides[0], guides[1]))


def random_affine(size: int, config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a (2, 3) matrix that rotates, scales, stretches the width about the center, and shifts."""
    center = (size - 1) / 2
    scale = np.exp(rng.uniform(-1, 1) * np.log1p(config.scale))
    angle = rng.uniform(-1, 1) * config.rotation
    matrix = np.asarray(cv2.getRotationMatrix2D((center, center), angle, scale), np.float64)
    stretch = np.exp(rng.uniform(-1, 1) * np.log1p(config.stretch))
    matrix[0] = stretch * (matrix[0] - [0, 0, center]) + [0, 0, center]
    matrix[:, 2] += rng.uniform(-1, 1, size=2) * config.shift * size
    return matrix


def warp_frame(frame: Frame, matrix: NDArray[np.float64]) -> Frame:
    """Warp a frame by a (2, 3) affine matrix, replicating its border."""
    height, width = frame.shape[:2]
    return np.asarray(
        cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def warp_points(points: Points, matrix: NDArray[np.float64]) -> Points:
    """Map points (G, 2) of a frame to where `warp_frame` moves them."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)


def pixels_to_grid(points: Points, size: int) -> Tensor:
    """Convert points (B, G, 2) from pixels to [-1, 1], the centers of the outermost pixels.

    Args:
        points: x then y, in pixels.
        size: side of the frames, in pixels.
    """
    return torch.from_numpy(points) * (2 / (size - 1)) - 1
