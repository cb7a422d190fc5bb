"""Clips that the quality benchmark scores on, and the baselines that need nothing else."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from faceanim.evaluation.methods import copy_source, warp_by_landmarks
from faceanim.evaluation.test_set import count_driving_frames, read_clip_frames, read_clip_points
from faceanim.media.tensors import resize_frames, to_float
from faceanim.schemas import CROPS, Status
from faceanim.tables import Row, read_rows

BATCH = 16
"""Number of frames that are animated at a time."""


@dataclass(frozen=True)
class Clip:
    """A clip whose first frame is the source; the other frames drive it.

    Attributes:
        row: row of crops.parquet.
        frames: (N, 3, S, S) in [0, 1].
        points: (N, P, 2) in [-1, 1], landmarks from the landmarks stage.
        detected: (N,), whether a frame has landmarks.
    """

    row: Row
    frames: Tensor
    points: Tensor
    detected: Tensor


Animate = Callable[[Clip], Tensor]
"""Callable that maps a clip of N frames to its predictions, (N - 1, 3, S, S) in [0, 1]."""


def read_clips(data: Path, split: str, size: int) -> Iterator[Clip]:
    """Yield the accepted clips of a split, sorted by crop_id, with frames resized as in an evaluation."""
    rows = [
        row
        for row in read_rows(data / "crops.parquet", CROPS)
        if row["split"] == split and row["status"] == Status.OK and count_driving_frames(row)
    ]
    for row in sorted(rows, key=lambda row: str(row["crop_id"])):
        frames = resize_frames(to_float(read_clip_frames(row, slice(None))), size)
        yield Clip(row, frames, *read_clip_points(data / "landmarks", row))


def thin_clip(clip: Clip, every: int) -> Clip:
    """Keep the source and one in `every` driving frames of a clip, starting with the first of them."""
    return select_frames(clip, [0, *range(1, len(clip.frames), every)])


def select_frames(clip: Clip, kept: Sequence[int]) -> Clip:
    """Keep the frames of a clip that have the given numbers."""
    return replace(clip, frames=clip.frames[kept], points=clip.points[kept], detected=clip.detected[kept])


def copy_clip_source(clip: Clip) -> Tensor:
    """Predict the source for every driving frame."""
    return copy_source(clip.frames[:1], len(clip.frames) - 1)


def warp_clip_source(clip: Clip) -> Tensor:
    """Predict the source warped by its landmarks."""
    return warp_by_landmarks(clip.frames[:1], clip.points, clip.detected)


COPY, LANDMARK_WARP = "copy the source", "landmark warp"
BASELINES: dict[str, Animate] = {COPY: copy_clip_source, LANDMARK_WARP: warp_clip_source}
