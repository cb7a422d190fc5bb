"""Pairs of frames for training, with their landmarks, read straight from the crops' files."""

from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from faceanim.data.clips import read_frame
from faceanim.data.pictures import Frame
from faceanim.errors import FaceanimError
from faceanim.faces.landmark_tables import load_landmarks
from faceanim.schemas import CROPS, Status
from faceanim.tables import read_table

CACHE_BYTES = 1 << 30
"""Resized frames kept in memory; beyond that they are read again each time."""

Points = NDArray[np.float32]


class Crop(NamedTuple):
    """One accepted crop.

    Attributes:
        crop_id: its name.
        path: its file.
        frames: (N,) numbers of the frames that may be trained on, counted over all crops of the split.
    """

    crop_id: str
    path: Path
    frames: NDArray[np.int64]


class Pair(NamedTuple):
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
            usable, self._points = read_points(table, bounds, landmarks)
        self.crops = usable_crops(table, bounds, usable)
        if not self.crops:
            raise FaceanimError(f"{crops} has no accepted crop with two usable frames in the {split} split")
        self.size = size
        self._scale = 1.0 if size is None else size / self._stored_side()
        self._cache: dict[int, Frame] = {}
        self._cached_bytes = 0

    def pair(self, rng: np.random.Generator) -> Pair:
        """Two different frames of one crop."""
        crop = self.crops[rng.integers(len(self.crops))]
        source, driving = (int(number) for number in rng.choice(crop.frames, size=2, replace=False))
        frames = self.frame(crop, source), self.frame(crop, driving)
        return Pair(*frames, self.points(source), self.points(driving))

    def frame(self, crop: Crop, number: int) -> Frame:
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


def usable_crops(table: pa.Table, bounds: NDArray[np.int64], usable: NDArray[np.bool_]) -> list[Crop]:
    """The crops of which a pair can be made: those with two usable frames or more.

    Args:
        table: rows of crops.parquet.
        bounds: (C + 1,), where the frames of each crop begin, and where the last one's end.
        usable: (N,), whether a frame may be trained on.
    """
    names = zip(table["crop_id"].to_pylist(), table["path"].to_pylist(), pairwise(bounds), strict=True)
    crops = (
        Crop(crop_id, Path(path), first + np.flatnonzero(usable[first:end]))
        for crop_id, path, (first, end) in names
    )
    return [crop for crop in crops if len(crop.frames) >= 2]


def read_points(
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
        pairs = [augment(*self.frames.pair(rng)[:2], rng) for _ in range(self.batch_size)]
        source, driving = zip(*pairs, strict=True)
        return to_tensor(np.stack(source)), to_tensor(np.stack(driving))


def augment(source: Frame, driving: Frame, rng: np.random.Generator) -> tuple[Frame, Frame]:
    """Mirror, move and tint a pair; both frames in the same way, for the motion between them must stay."""
    if rng.random() < 0.5:
        source, driving = mirror(source), mirror(driving)
    matrix = random_similarity(source.shape[0], rng)
    tint = random_tint(rng)
    return tinted(moved(source, matrix), *tint), tinted(moved(driving, matrix), *tint)


def mirror(frame: Frame) -> Frame:
    """Left and right changed."""
    return np.asarray(cv2.flip(frame, 1), np.uint8)


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
    values = np.arange(256)[:, None]
    table = np.clip((values - 127.5) * gain + 127.5 + offset, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(frame, table[None]), np.uint8)


def to_tensor(frames: Frame) -> Tensor:
    """(B, H, W, 3) in [0, 255] to (B, 3, H, W) in [0, 1]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous().float() / 255
