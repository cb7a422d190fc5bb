"""Random access to training frames and their landmarks, read directly from the crop files."""

from collections.abc import Sequence
from functools import partial
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from faceanim.errors import FaceanimError
from faceanim.faces.landmark_sets import Points, load_landmarks
from faceanim.media.frames import Frame
from faceanim.media.mjpeg import read_frame
from faceanim.media.tensors import to_float
from faceanim.schemas import CROPS, Status
from faceanim.tables import read_table

CACHE_BYTES = 1 << 30
"""Size of the in-memory cache of resized frames, in bytes; other frames are read again at each use."""

Batch = TypeVar("Batch", covariant=True, bound=tuple[Tensor, ...])


class Crop(NamedTuple):
    """An accepted crop.

    Attributes:
        crop_id: identifier of the crop.
        path: crop file.
        first: number of the first frame, counted over all crops of the split.
        frames: numbers of the frames usable for training, (N,), counted the same way.
    """

    crop_id: str
    path: Path
    first: int
    frames: NDArray[np.int64]


class FramePair(NamedTuple):
    """Two different frames of one crop.

    Attributes:
        source: source frame, (H, W, 3), RGB in [0, 255].
        driving: driving frame, of the same shape and range.
        source_points: landmarks of the source, (P, 2), x then y in pixels of the frame; None if landmarks
            were not requested.
        driving_points: the same for the driving frame.
    """

    source: Frame
    driving: Frame
    source_points: Points | None
    driving_points: Points | None


class CropFrames:
    """Random access to the frames of a split's accepted crops.

    Except for the crop files, all data needed to read a frame is held in a few large arrays, which forked
    loader workers share.

    Args:
        crops: path of crops.parquet.
        split: `train` or `test`.
        size: side of the returned frames, in pixels; None: as stored.
        landmarks: folder of the landmarks tables. With it, pairs have points, and frames without a detected
            face are excluded. Landmarks are kept in memory: 0.5 kB per frame for 68 points, 3.8 kB for 478.

    Raises:
        FaceanimError: no crop of the split has two usable frames, or a table or a crop file is missing.
    """

    def __init__(
        self, crops: Path, split: str, size: int | None = None, landmarks: Path | None = None
    ) -> None:
        table = read_table(crops, CROPS)
        table = table.filter((pc.field("status") == Status.OK) & (pc.field("split") == split))
        self._offsets = pc.list_flatten(table["frame_offsets"]).to_numpy()
        self._lengths = pc.list_flatten(table["frame_lengths"]).to_numpy()
        counts = pc.list_value_length(table["frame_offsets"]).to_numpy()
        bounds = np.concatenate(([0], np.cumsum(counts)))
        usable = np.ones(bounds[-1], bool)
        self._points: Points | None = None
        if landmarks is not None:
            usable, self._points = load_points(table, bounds, landmarks)
        self.crops = select_usable_crops(table, bounds, usable)
        if not self.crops:
            raise FaceanimError(f"{crops} has no accepted crop with two usable frames in the {split} split")
        self.size = size
        self._scale = 1.0 if size is None else size / self._read_stored_side()
        self._cache: dict[int, Frame] = {}
        self._cached_bytes = 0

    def sample_frames(self, rng: np.random.Generator, count: int) -> tuple[Crop, list[int]]:
        """Draw a crop and the numbers of `count` different frames of it, or of all if it has fewer."""
        crop = self.crops[rng.integers(len(self.crops))]
        count = min(count, len(crop.frames))
        return crop, [int(number) for number in rng.choice(crop.frames, size=count, replace=False)]

    def sample_pair(self, rng: np.random.Generator, candidates: int = 1) -> tuple[Crop, list[int]]:
        """Draw a crop and the numbers of a source and a driving frame of it.

        Args:
            rng: random generator.
            candidates: number of driving frames to draw. The one whose landmarks are farthest from the
                source's is used, which favors pairs far apart in pose and expression. Values above 1 need
                landmarks.
        """
        crop, (source, *others) = self.sample_frames(rng, 1 + candidates)
        driving = others[0] if len(others) == 1 else max(others, key=partial(self._distance, source))
        return crop, [source, driving]

    def load_pair(self, crop: Crop, numbers: Sequence[int]) -> FramePair:
        """Load two frames of a crop by their numbers: `frames.load_pair(*frames.sample_pair(rng))`."""
        source, driving = numbers
        frames = self.load_frame(crop, source), self.load_frame(crop, driving)
        return FramePair(*frames, self.get_points(source), self.get_points(driving))

    def _distance(self, first: int, second: int) -> float:
        assert self._points is not None, "landmarks are needed to compare driving candidates"
        return float(np.abs(self._points[first] - self._points[second]).mean())

    def load_frame(self, crop: Crop, number: int) -> Frame:
        """Load a frame of a crop by its number, resized to `size`: (H, W, 3), RGB in [0, 255]."""
        if number in self._cache:
            return self._cache[number]
        frame = self._read_stored(crop, number)
        if self.size is not None and frame.shape[:2] != (self.size, self.size):
            frame = np.asarray(
                cv2.resize(frame, (self.size, self.size), interpolation=cv2.INTER_AREA), np.uint8
            )
        if self._cached_bytes + frame.nbytes <= CACHE_BYTES:
            self._cache[number] = frame
            self._cached_bytes += frame.nbytes
        return frame

    def get_points(self, number: int) -> Points | None:
        """Return the landmarks of a frame, (P, 2), in pixels of the resized frame; None if not loaded."""
        if self._points is None:
            return None
        # The scale applies to distances from the frame's edge, half a pixel before the first pixel's center.
        return np.asarray((self._points[number] + 0.5) * self._scale - 0.5, np.float32)

    def _read_stored(self, crop: Crop, number: int) -> Frame:
        return read_frame(crop.path, self._offsets[number], self._lengths[number])

    def _read_stored_side(self) -> int:
        """Read the side of the stored crops from a frame; the crop stage gives all crops the same size."""
        crop = self.crops[0]
        return len(self._read_stored(crop, int(crop.frames[0])))


class BatchDataset(Dataset[Batch]):
    """Batches of a split, one for each step; sample `i` of a step depends on (seed, step, i) alone.

    Resumed runs therefore need no sampler state, workers may prepare steps in any order, and several
    processes together see the samples that a single process would see.

    Args:
        frames: frames to sample from.
        batch_size: samples of a step, over all processes.
        seed: seed of the sampling and the augmentation.
        rank: index of this process, which takes every `processes`-th sample, starting at sample `rank`.
        processes: number of processes.
    """

    def __init__(
        self, frames: CropFrames, batch_size: int, seed: int, rank: int = 0, processes: int = 1
    ) -> None:
        self.frames = frames
        self.samples = range(batch_size)[rank::processes]
        self.seed = seed

    def sample(self, rng: np.random.Generator) -> tuple[Crop, list[int]]:
        """Draw the crop of a sample and the numbers of the frames used from it."""
        raise NotImplementedError

    def make_rngs(self, step: int) -> list[np.random.Generator]:
        """Create the random generators of a step, one for each sample of this process."""
        return [np.random.default_rng((self.seed, step, sample)) for sample in self.samples]

    def describe_samples(self, step: int) -> list[str]:
        """Describe this process's samples of a step: crop and frame numbers, counted from its first frame."""
        drawn = (self.sample(rng) for rng in self.make_rngs(step))
        return [f"{crop.crop_id}{[number - crop.first for number in numbers]}" for crop, numbers in drawn]


def select_usable_crops(table: pa.Table, bounds: NDArray[np.int64], usable: NDArray[np.bool_]) -> list[Crop]:
    """Select the crops that can yield a pair, which are those with at least two usable frames.

    Args:
        table: rows of crops.parquet.
        bounds: number of the first frame of each crop, then the total number of frames, (C + 1,).
        usable: mask of the frames usable for training, (N,).
    """
    rows = zip(table["crop_id"].to_pylist(), table["path"].to_pylist(), pairwise(bounds), strict=True)
    crops = (
        Crop(crop_id, Path(path), int(first), first + np.flatnonzero(usable[first:end]))
        for crop_id, path, (first, end) in rows
    )
    return [crop for crop in crops if len(crop.frames) >= 2]


def load_points(
    table: pa.Table, bounds: NDArray[np.int64], folder: Path
) -> tuple[NDArray[np.bool_], Points | None]:
    """Load the landmarks of all frames of all crops, concatenated in the order of the table.

    Args:
        table: rows of crops.parquet.
        bounds: see `select_usable_crops`.
        folder: folder of the landmarks tables.

    Returns:
        A mask of the frames with a detected face, (N,), and the landmarks, (N, P, 2), x then y in crop
        pixels; None without crops.

    Raises:
        FaceanimError: a table is missing, or lacks a crop or some of its frames.
    """
    detected = np.zeros(bounds[-1], bool)
    points: Points | None = None
    ids = zip(table["video_id"].to_pylist(), table["crop_id"].to_pylist(), pairwise(bounds), strict=True)
    for video_id, crops in groupby(ids, key=itemgetter(0)):
        landmarks = load_landmarks(folder, video_id)
        for _, crop_id, (first, end) in crops:
            if crop_id not in landmarks or len(landmarks[crop_id][0]) != end - first:
                raise FaceanimError(f"{folder} has no landmarks of {crop_id}; run `dvc repro landmarks`")
            detected[first:end], crop_points = landmarks[crop_id]
            if points is None:
                points = np.empty((bounds[-1], *crop_points.shape[1:]), np.float32)
            points[first:end] = crop_points
    return detected, points


def mirror_frame(frame: Frame) -> Frame:
    """Flip a frame horizontally."""
    return np.asarray(cv2.flip(frame, 1), np.uint8)


def random_color_table(strength: float, rng: np.random.Generator) -> Frame:
    """Draw a change of light and skin as a lookup table: gamma, then gain about middle gray, then offset.

    Args:
        strength: see `AugmentConfig.color_jitter`.
        rng: random generator.

    Returns:
        (1, 256, 3), the new level for each level of each channel, in [0, 255]; only the gain differs
        between the channels.
    """
    gamma = np.exp(rng.uniform(-1, 1) * 2 * strength)
    gain = (1 + strength * rng.uniform(-1, 1)) * (1 + strength / 2 * rng.uniform(-1, 1, size=3))
    offset = 100 * strength * rng.uniform(-1, 1)
    levels = 255 * (np.arange(256) / 255) ** gamma
    values = (levels[:, None] - 127.5) * gain + 127.5 + offset
    return np.asarray(np.clip(np.rint(values), 0, 255)[None], np.uint8)


def to_batch(frames: Sequence[Frame]) -> Tensor:
    """Stack frames (H, W, 3) in [0, 255] into a contiguous batch (B, 3, H, W) in [0, 1]."""
    return to_float(np.stack(frames)).contiguous()
