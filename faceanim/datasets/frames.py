"""Frames for training, with their landmarks, read straight from the crops' files."""

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
from faceanim.faces.landmark_sets import load_landmarks
from faceanim.media.frames import Frame
from faceanim.media.mjpeg import read_frame
from faceanim.media.tensors import to_float
from faceanim.schemas import CROPS, Status
from faceanim.tables import read_table

CACHE_BYTES = 1 << 30
"""Resized frames kept in memory; beyond that they are read again each time."""

Points = NDArray[np.float32]
Batch = TypeVar("Batch", covariant=True, bound=tuple[Tensor, ...])


class Crop(NamedTuple):
    """One accepted crop.

    Attributes:
        crop_id: its name.
        path: its file.
        first: number of its first frame, counted over all crops of the split.
        frames: (N,) numbers of the frames that may be trained on, counted likewise.
    """

    crop_id: str
    path: Path
    first: int
    frames: NDArray[np.int64]


class FramePair(NamedTuple):
    """Two different frames of one crop.

    Attributes:
        source: (H, W, 3), RGB in [0, 255].
        driving: likewise.
        source_points: (P, 2), the landmarks, x then y in pixels of the frame; None where none were asked for.
        driving_points: likewise.
    """

    source: Frame
    driving: Frame
    source_points: Points | None
    driving_points: Points | None


class CropFrames:
    """The frames of a split's accepted crops, at random.

    All that a frame needs but its file lies in a few large arrays, which the workers of a loader share by
    being forked.

    Args:
        crops: crops.parquet.
        split: `train` or `test`.
        size: side of the frames given, in pixels; None: as stored.
        landmarks: folder of the landmarks tables; then pairs have points, and only frames in which a face was
            found are given ("frames in which no face was found are no training pair"). They are kept in
            memory: 0.5 kB a frame for 68 points, 3.8 kB for 478.

    Raises:
        FaceanimError: no crop of the split is left, or a table or a file is missing.
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
        self._scale = 1.0 if size is None else size / self._stored_side()
        self._cache: dict[int, Frame] = {}
        self._cached_bytes = 0

    def sample_frames(self, rng: np.random.Generator, count: int) -> tuple[Crop, list[int]]:
        """A crop, and the numbers of that many different frames of it, or of all that it has."""
        crop = self.crops[rng.integers(len(self.crops))]
        count = min(count, len(crop.frames))
        return crop, [int(number) for number in rng.choice(crop.frames, size=count, replace=False)]

    def sample_pair(self, rng: np.random.Generator, candidates: int = 1) -> tuple[Crop, list[int]]:
        """A crop, and the numbers of a source and a driving frame of it.

        Args:
            rng: what decides.
            candidates: driving frames drawn, of which the one whose landmarks are farthest from the source's
                is taken: pairs far apart in pose and expression. Landmarks are needed where it is above 1.
        """
        crop, (source, *others) = self.sample_frames(rng, 1 + candidates)
        driving = others[0] if len(others) == 1 else max(others, key=partial(self._distance, source))
        return crop, [source, driving]

    def load_pair(self, crop: Crop, numbers: Sequence[int]) -> FramePair:
        """Two frames of a crop, by their numbers: `frames.load_pair(*frames.sample_pair(rng))`."""
        source, driving = numbers
        frames = self.load_frame(crop, source), self.load_frame(crop, driving)
        return FramePair(*frames, self.points(source), self.points(driving))

    def _distance(self, first: int, second: int) -> float:
        assert self._points is not None, "landmarks are needed to tell which frames are far apart"
        return float(np.abs(self._points[first] - self._points[second]).mean())

    def load_frame(self, crop: Crop, number: int) -> Frame:
        """One of a crop's frames, resized: (H, W, 3), RGB in [0, 255]."""
        if number in self._cache:
            return self._cache[number]
        frame = self._stored(crop, number)
        if self.size is not None and frame.shape[:2] != (self.size, self.size):
            frame = np.asarray(
                cv2.resize(frame, (self.size, self.size), interpolation=cv2.INTER_AREA), np.uint8
            )
        if self._cached_bytes + frame.nbytes <= CACHE_BYTES:
            self._cache[number] = frame
            self._cached_bytes += frame.nbytes
        return frame

    def points(self, number: int) -> Points | None:
        """The landmarks of a frame in pixels of the frame given, (P, 2)."""
        if self._points is None:
            return None
        # A pixel's centre lies half a pixel from its edge.
        return np.asarray((self._points[number] + 0.5) * self._scale - 0.5, np.float32)

    def _stored(self, crop: Crop, number: int) -> Frame:
        return read_frame(crop.path, self._offsets[number], self._lengths[number])

    def _stored_side(self) -> int:
        """The side of the crops as stored, which the crop stage makes all of one size."""
        crop = self.crops[0]
        return len(self._stored(crop, int(crop.frames[0])))


def select_usable_crops(table: pa.Table, bounds: NDArray[np.int64], usable: NDArray[np.bool_]) -> list[Crop]:
    """The crops of which a pair can be made: those with two usable frames or more.

    Args:
        table: rows of crops.parquet.
        bounds: (C + 1,), where the frames of each crop begin, and where the last one's end.
        usable: (N,), whether a frame may be trained on.
    """
    names = zip(table["crop_id"].to_pylist(), table["path"].to_pylist(), pairwise(bounds), strict=True)
    crops = (
        Crop(crop_id, Path(path), int(first), first + np.flatnonzero(usable[first:end]))
        for crop_id, path, (first, end) in names
    )
    return [crop for crop in crops if len(crop.frames) >= 2]


def load_points(
    table: pa.Table, bounds: NDArray[np.int64], folder: Path
) -> tuple[NDArray[np.bool_], Points | None]:
    """The landmarks of all frames of all crops, one after the other.

    Args:
        table: rows of crops.parquet.
        bounds: see `usable_crops`.
        folder: of the landmarks tables.

    Returns:
        (N,), whether a face was found, and (N, P, 2), x then y in crop pixels; None without crops.
    """
    detected = np.zeros(bounds[-1], bool)
    points: Points | None = None
    ids = zip(table["video_id"].to_pylist(), table["crop_id"].to_pylist(), pairwise(bounds), strict=True)
    for video_id, crops in groupby(ids, key=itemgetter(0)):
        found = load_landmarks(folder, video_id)
        for _, crop_id, (first, end) in crops:
            if crop_id not in found or len(found[crop_id][0]) != end - first:
                raise FaceanimError(f"{folder} has no landmarks of {crop_id}; run `dvc repro landmarks`")
            detected[first:end], of_crop = found[crop_id]
            if points is None:
                points = np.empty((bounds[-1], *of_crop.shape[1:]), np.float32)
            points[first:end] = of_crop
    return detected, points


class BatchDataset(Dataset[Batch]):
    """The batches of a split; sample `i` of the one at a step depends on (seed, step, i) alone.

    So a run that resumes needs no sampler's state, workers may fetch steps in any order, and several
    processes see together what one would see.

    Args:
        frames: where they are taken from.
        batch_size: of all processes together.
        seed: of what is drawn.
        rank: the number of this process; its share begins with the sample of that number.
        processes: how many there are.
    """

    def __init__(
        self, frames: CropFrames, batch_size: int, seed: int, rank: int = 0, processes: int = 1
    ) -> None:
        self.frames = frames
        self.samples = range(batch_size)[rank::processes]
        self.seed = seed

    def sample(self, rng: np.random.Generator) -> tuple[Crop, list[int]]:
        """Choose a sample: a crop, and the numbers of the frames of it that the sample is made of."""
        raise NotImplementedError

    def make_rngs(self, step: int) -> list[np.random.Generator]:
        """What this process's samples of a step are drawn with."""
        return [np.random.default_rng((self.seed, step, sample)) for sample in self.samples]

    def describe_samples(self, step: int) -> list[str]:
        """The crop and the frames, counted from its first, of each of this process's samples of a step."""
        drawn = (self.sample(rng) for rng in self.make_rngs(step))
        return [f"{crop.crop_id}{[number - crop.first for number in numbers]}" for crop, numbers in drawn]


def mirror_frame(frame: Frame) -> Frame:
    """Left and right changed."""
    return np.asarray(cv2.flip(frame, 1), np.uint8)


def random_color_table(colour: float, rng: np.random.Generator) -> Frame:
    """A change of light and skin as a table, (1, 256, 3): gamma, gain and offset about grey, in each channel.

    Args:
        colour: how large; see `AugmentConfig.color_jitter`.
        rng: what decides.
    """
    gamma = np.exp(rng.uniform(-1, 1) * 2 * colour)
    gain = (1 + colour * rng.uniform(-1, 1)) * (1 + colour / 2 * rng.uniform(-1, 1, size=3))
    offset = 100 * colour * rng.uniform(-1, 1)
    levels = 255 * (np.arange(256) / 255) ** gamma
    values = (levels[:, None] - 127.5) * gain + 127.5 + offset
    return np.asarray(np.clip(np.rint(values), 0, 255)[None], np.uint8)


def to_batch(frames: Sequence[Frame]) -> Tensor:
    """Stack frames (H, W, 3) in [0, 255] into a batch (B, 3, H, W) in [0, 1], contiguous."""
    return to_float(np.stack(frames)).contiguous()
