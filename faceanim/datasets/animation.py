"""Batches of source and driving frames for the animation networks, with the points on them.

Both frames of a pair, and the points on them, are augmented identically, because the motion between the
frames must be preserved.
"""

import math
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
from faceanim.faces.landmark_sets import (
    MIRRORED_GUIDES,
    MIRRORED_IBUG68,
    Points,
    compute_guides,
    select_ibug68,
)
from faceanim.media.frames import Frame

NO_POINTS: Points = np.zeros((0, 2), np.float32)
MIRRORED_POINTS = [*MIRRORED_GUIDES, *(len(MIRRORED_GUIDES) + point for point in MIRRORED_IBUG68)]
"""Permutation of `LandmarkedPair.points` when the image is mirrored."""


@dataclass(frozen=True)
class LandmarkedPair:
    """Two frames of one crop, and the points on them.

    Attributes:
        frames: source and driving frame, each (S, S, 3), RGB in [0, 255].
        points: points in each frame, x then y in pixels, 0 being the center of the first pixel: the targets
            of the guided keypoints, then iBUG's 68 landmarks, (78, 2); (0, 2) without landmarks.
    """

    frames: tuple[Frame, Frame]
    points: tuple[Points, Points]


class PairBatch(NamedTuple):
    """A batch of training pairs.

    Places are x then y in [-1, 1], where -1 and 1 are the centers of the outermost pixels.

    Attributes:
        source: source frames, (B, 3, S, S), RGB in [0, 1].
        driving: driving frames, of the same shape and range.
        source_guides: target positions of the source's guided keypoints, (B, G, 2); G is 10, or 0 like L.
        driving_guides: the same for the driving frames.
        source_landmarks: iBUG's landmarks of the source, (B, L, 2), NaN where they are withheld; L is 0 if
            neither guides nor landmarks are used, else 68.
        driving_landmarks: the same for the driving frames.
        grid: (B, T, T, 2), where the source has, or would have, what each pixel of the driving frame shows;
            NaN where nobody knows. T is S, or 0 if no pair of the training is rendered.
        visible: (B, 1, T, T), 1 where the source shows it, else 0; NaN where nobody knows.
    """

    source: Tensor
    driving: Tensor
    source_guides: Tensor
    driving_guides: Tensor
    source_landmarks: Tensor
    driving_landmarks: Tensor
    grid: Tensor
    visible: Tensor


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
        source_points, driving_points = (
            pixels_to_grid(np.stack(points), source.shape[-1])
            for points in zip(*(p.points for p in pairs), strict=True)
        )
        guides = slice(len(MIRRORED_GUIDES))
        landmarks = slice(len(MIRRORED_GUIDES), None)
        return PairBatch(
            source,
            driving,
            source_points[:, guides],
            driving_points[:, guides],
            source_points[:, landmarks],
            driving_points[:, landmarks],
            *unknown_truth(len(pairs), 0),
        )

    def _load_pair(self, rng: np.random.Generator) -> LandmarkedPair:
        pair = self.frames.load_pair(*self.sample(rng))
        points = self._collect_points(pair.source_points), self._collect_points(pair.driving_points)
        augmented = augment_pair(
            LandmarkedPair((pair.source, pair.driving), points), self.config.augment, rng
        )
        return withhold_landmarks(augmented, self.config.landmark_dropout, rng)

    def _collect_points(self, landmarks: Points | None) -> Points:
        """Collect the points of a frame from its landmarks (P, 2); see `LandmarkedPair.points`."""
        is_used = self.config.losses.landmarks > 0 or self.config.model.landmarks is not None
        if landmarks is None or not is_used:
            return NO_POINTS
        return np.concatenate((compute_guides(landmarks), select_ibug68(landmarks)))


def unknown_truth(count: int, size: int) -> tuple[Tensor, Tensor]:
    """Return the truth about pairs of which none is known; see `PairBatch.grid` and `PairBatch.visible`."""
    return torch.full((count, size, size, 2), math.nan), torch.full((count, 1, size, size), math.nan)


def withhold_landmarks(pair: LandmarkedPair, probability: float, rng: np.random.Generator) -> LandmarkedPair:
    """Replace the landmarks of both frames by NaN, with a probability: the keypoints must then do alone."""
    if probability == 0 or rng.random() >= probability:
        return pair
    source, driving = (points.copy() for points in pair.points)
    for points in (source, driving):
        points[len(MIRRORED_GUIDES) :] = np.nan
    return replace(pair, points=(source, driving))


def augment_pair(pair: LandmarkedPair, config: AugmentConfig, rng: np.random.Generator) -> LandmarkedPair:
    """Apply one random flip, affine transform and color change to both frames of a pair."""
    size = len(pair.frames[0])
    if config.mirror and rng.random() < 0.5:
        pair = mirror_pair(pair)
    matrix = random_affine(size, config, rng)
    table = random_color_table(config.color_jitter, rng)
    source, driving = (cv2.LUT(warp_frame(frame, matrix), table) for frame in pair.frames)
    source_points, driving_points = (warp_points(points, matrix) for points in pair.points)
    return LandmarkedPair((source, driving), (source_points, driving_points))


def mirror_pair(pair: LandmarkedPair) -> LandmarkedPair:
    """Flip a pair horizontally; left and right points swap, so that a left eye becomes a right one."""
    last = len(pair.frames[0]) - 1
    source, driving = (mirror_frame(frame) for frame in pair.frames)
    if len(pair.points[0]) == 0:
        return replace(pair, frames=(source, driving))
    reflection = np.array([-1, 1], np.float32), np.array([last, 0], np.float32)
    mirrored = [(points * reflection[0] + reflection[1])[MIRRORED_POINTS] for points in pair.points]
    return LandmarkedPair((source, driving), (mirrored[0], mirrored[1]))


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
