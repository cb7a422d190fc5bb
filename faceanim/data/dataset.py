"""Pairs of frames for training, read straight from the crops' files."""

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from faceanim.data.clips import read_frame
from faceanim.errors import FaceanimError
from faceanim.faces.landmark_tables import load_landmarks
from faceanim.schemas import CROPS, Status
from faceanim.tables import Row, read_rows

CACHE_BYTES = 1 << 30
"""Resized frames kept in memory; beyond that they are read again each time."""

Frame = NDArray[np.uint8]


class CropFrames:
    """The frames of a split's accepted crops, at random.

    Args:
        crops: crops.parquet.
        split: `train` or `test`.
        size: side of the frames given, in pixels; None: as stored.
        landmarks: folder of the landmarks tables; then only frames in which a face was found are given
            ("frames in which no face was found are no training pair").

    Raises:
        FaceanimError: no crop of the split is left.
    """

    def __init__(
        self, crops: Path, split: str, size: int | None = None, landmarks: Path | None = None
    ) -> None:
        rows = [
            row for row in read_rows(crops, CROPS) if row["status"] == Status.OK and row["split"] == split
        ]
        usable = [
            (row, usable_frames(row, landmarks)) for row in sorted(rows, key=lambda row: row["crop_id"])
        ]
        self.crops = [(row, frames) for row, frames in usable if len(frames) >= 2]
        if not self.crops:
            raise FaceanimError(f"{crops} has no accepted crop with two usable frames in the {split} split")
        self.size = size
        self._cache: dict[tuple[str, int], Frame] = {}
        self._cached_bytes = 0

    def pair(self, rng: np.random.Generator) -> tuple[Frame, Frame]:
        """Two different frames of one crop: (H, W, 3) each, RGB in [0, 255]."""
        row, frames = self.crops[rng.integers(len(self.crops))]
        first, second = rng.choice(frames, size=2, replace=False)
        return self.frame(row, int(first)), self.frame(row, int(second))

    def single(self, rng: np.random.Generator) -> Frame:
        """One frame: (H, W, 3), RGB in [0, 255]."""
        row, frames = self.crops[rng.integers(len(self.crops))]
        return self.frame(row, int(rng.choice(frames)))

    def frame(self, row: Row, index: int) -> Frame:
        """One frame of a crop, resized: (H, W, 3), RGB in [0, 255]."""
        key = (row["crop_id"], index)
        if key in self._cache:
            return self._cache[key]
        frame = read_frame(Path(row["path"]), row["frame_offsets"][index], row["frame_lengths"][index])
        if self.size is not None and frame.shape[:2] != (self.size, self.size):
            frame = np.asarray(
                cv2.resize(frame, (self.size, self.size), interpolation=cv2.INTER_AREA), np.uint8
            )
        if self._cached_bytes + frame.nbytes <= CACHE_BYTES:
            self._cache[key] = frame
            self._cached_bytes += frame.nbytes
        return frame


def usable_frames(row: Row, landmarks: Path | None) -> NDArray[np.int64]:
    """The indices of a crop's frames that may be trained on."""
    if landmarks is None:
        return np.arange(len(row["frame_offsets"]), dtype=np.int64)
    found = load_landmarks(landmarks, row["clip_id"]).get(row["crop_id"])
    return np.flatnonzero(found[0]) if found else np.empty(0, np.int64)


class PairBatches(Dataset[tuple[Tensor, Tensor]]):
    """Batches of source and driving frames; the one at a step depends on (seed, step) alone.

    So a run that resumes needs no sampler's state, and workers may fetch steps in any order.
    """

    def __init__(self, frames: CropFrames, batch_size: int, seed: int) -> None:
        self.frames = frames
        self.batch_size = batch_size
        self.seed = seed

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Source and driving, (B, 3, H, W) each, RGB in [0, 1], augmented alike."""
        rng = np.random.default_rng((self.seed, step))
        pairs = [augment(*self.frames.pair(rng), rng) for _ in range(self.batch_size)]
        source, driving = zip(*pairs, strict=True)
        return to_tensor(np.stack(source)), to_tensor(np.stack(driving))


class FrameBatches(Dataset[Tensor]):
    """Batches of single frames; the one at a step depends on (seed, step) alone."""

    def __init__(self, frames: CropFrames, batch_size: int, seed: int) -> None:
        self.frames = frames
        self.batch_size = batch_size
        self.seed = seed

    def __getitem__(self, step: int) -> Tensor:
        """Frames, (B, 3, H, W), RGB in [0, 1], some of them mirrored."""
        rng = np.random.default_rng((self.seed, step))
        frames = [self.frames.single(rng) for _ in range(self.batch_size)]
        return to_tensor(np.stack([mirror(frame) if rng.random() < 0.5 else frame for frame in frames]))


def augment(source: Frame, driving: Frame, rng: np.random.Generator) -> tuple[Frame, Frame]:
    """Mirror, move and tint a pair; both frames in the same way, for the motion between them must stay."""
    if rng.random() < 0.5:
        source, driving = mirror(source), mirror(driving)
    matrix = random_similarity(source.shape[0], rng)
    tint = random_tint(rng)
    return tinted(moved(source, matrix), *tint), tinted(moved(driving, matrix), *tint)


def mirror(frame: Frame) -> Frame:
    """Left and right changed."""
    return np.ascontiguousarray(frame[:, ::-1])


def random_similarity(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A turn of up to 10 degrees, a scale of up to 10 % and a shift of up to 5 %: a (2, 3) matrix."""
    centre = (size - 1) / 2
    matrix = cv2.getRotationMatrix2D((centre, centre), rng.uniform(-10, 10), rng.uniform(0.9, 1.1))
    matrix[:, 2] += rng.uniform(-0.05, 0.05, size=2) * size
    return np.asarray(matrix, np.float64)


def moved(frame: Frame, matrix: NDArray[np.float64]) -> Frame:
    """The frame under an affine matrix, its border repeated."""
    height, width = frame.shape[:2]
    return np.asarray(
        cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def random_tint(rng: np.random.Generator) -> tuple[NDArray[np.float64], float]:
    """A gain for each channel and an offset, of 255: mild changes of light and skin."""
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.9, 1.1, size=3)
    return gain, rng.uniform(-20, 20)


def tinted(frame: Frame, gain: NDArray[np.float64], offset: float) -> Frame:
    """Each channel times its gain, plus the offset, about mid-grey."""
    return np.clip((frame - 127.5) * gain + 127.5 + offset, 0, 255).astype(np.uint8)


def to_tensor(frames: Frame) -> Tensor:
    """(B, H, W, 3) in [0, 255] to (B, 3, H, W) in [0, 1]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous().float() / 255
