"""The pinned protocol for the quality benchmark: every held-out clip, and the landmarks' distance (AKD)."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks.keypoint_regression import PosedFrames, landmark_error
from benchmarks.methods import Method
from faceanim.evaluation.face_metrics import FACE_SIDE
from faceanim.evaluation.image_metrics import PIXEL_METRICS, compute_frame_metrics, psnr
from faceanim.evaluation.methods import copy_source, warp_by_landmarks
from faceanim.evaluation.test_set import count_driving_frames, read_clip_frames, read_clip_points
from faceanim.faces.landmark_detectors import DlibDetector, Points
from faceanim.faces.landmark_sets import EYE_CORNERS
from faceanim.media.frames import resize_square
from faceanim.media.tensors import resize_frames, to_float, to_uint8
from faceanim.schemas import CROPS, Status
from faceanim.tables import Row, read_rows

BATCH = 16
"""Frames animated at a time."""

Figures = dict[str, float]
"""A clip's, or a set's: PIXEL_METRICS; `akd` in pixels; how many driving `frames`; in how many of them dlib
found a face (`faces`), and in how many of these it found none in the prediction (`missed`)."""
Faces = list[Points | None]
"""The landmarks of frames in pixels at SIDE; None: no face found."""


@dataclass(frozen=True)
class Clip:
    """A clip: its first frame is the source, the others drive.

    Attributes:
        row: its row of crops.parquet.
        frames: (N, 3, S, S) in [0, 1].
        points: (N, P, 2) in [-1, 1], the cached landmarks.
        detected: (N,), where there are any.
    """

    row: Row
    frames: Tensor
    points: Tensor
    detected: Tensor


Detect = Callable[[Tensor], Tensor]
"""Frames (B, 3, S, S) in [0, 1] to their keypoints (B, K, 2)."""
Animate = Callable[[Clip], Tensor]
"""A clip to its N - 1 predictions, (N - 1, 3, S, S) in [0, 1]."""


def read_clips(data: Path, split: str, size: int) -> Iterator[Clip]:
    """The accepted clips of a split, by id, their frames resized as evaluation does."""
    rows = [
        row
        for row in read_rows(data / "crops.parquet", CROPS)
        if row["split"] == split and row["status"] == Status.OK and count_driving_frames(row)
    ]
    for row in sorted(rows, key=lambda row: str(row["crop_id"])):
        frames = resize_frames(to_float(read_clip_frames(row, slice(None))), size)
        yield Clip(row, frames, *read_clip_points(data / "landmarks", row))


def find_faces(frames: Tensor) -> Faces:
    """dlib's landmarks of frames (N, 3, S, S) in [0, 1], the face found by its own detector."""
    detector = DlibDetector()
    found = []
    for frame in to_uint8(frames):
        luma = cv2.cvtColor(resize_square(frame, FACE_SIDE), cv2.COLOR_RGB2GRAY)
        face = detector.detect(luma, None)
        found.append(None if face is None else face.points)
    return found


def score(clips: Sequence[Clip], wanted: Sequence[Faces], animate: Animate) -> list[Figures]:
    """The figures of each clip.

    Args:
        clips: to be animated.
        wanted: of each clip, the faces of its driving frames.
        animate: the method.
    """
    scored = []
    for clip, faces in zip(clips, wanted, strict=True):
        predictions = animate(clip)
        figures = {
            name: float(each.mean())
            for name, each in compute_frame_metrics(predictions, clip.frames[1:]).items()
        }
        scored.append(figures | {"frames": len(predictions)} | compare(find_faces(predictions), faces))
    return scored


def compare(found: Faces, wanted: Faces) -> Figures:
    """The landmarks' mean distance in a clip, NaN where there is no frame to tell it from, and the counts."""
    pairs = [(one, other) for one, other in zip(found, wanted, strict=True) if other is not None]
    distances = [np.linalg.norm(one - other, axis=1).mean() for one, other in pairs if one is not None]
    akd = float(np.mean(distances)) if distances else math.nan
    return {"akd": akd, "faces": len(pairs), "missed": len(pairs) - len(distances)}


def mean(scored: Sequence[Figures]) -> Figures:
    """The figures of a set: means over its clips, sums of what was counted."""
    means = {name: float(np.mean([clip[name] for clip in scored])) for name in PIXEL_METRICS}
    sums = {name: sum(clip[name] for clip in scored) for name in ("frames", "faces", "missed")}
    told = [clip["akd"] for clip in scored if not math.isnan(clip["akd"])]
    return means | {"akd": float(np.mean(told)) if told else math.nan} | sums


def mean_psnr(clips: Sequence[Clip], animate: Animate) -> float:
    """The mean over clips of the PSNR alone."""
    return float(np.mean([float(psnr(animate(clip), clip.frames[1:]).mean()) for clip in clips]))


def keypoint_error(detect: Detect, known: Sequence[Clip], held_out: Sequence[Clip]) -> float:
    """How well the keypoints tell the cached landmarks; see `landmark_error`."""
    known_poses, held_out_poses = ([posed(detect, clip) for clip in clips] for clips in (known, held_out))
    (left, _), (_, right) = EYE_CORNERS["ibug68"]
    return landmark_error(known_poses, held_out_poses, (left, right))


def posed(detect: Detect, clip: Clip) -> PosedFrames:
    """The keypoints and landmarks of the frames of a clip that have landmarks."""
    frames, points = clip.frames[clip.detected], clip.points[clip.detected]
    keypoints = torch.cat([detect(batch) for batch in frames.split(BATCH)])
    return PosedFrames(keypoints.numpy(), points.numpy())


def thinned(clip: Clip, every: int) -> Clip:
    """The clip with only each so-manyth of its driving frames, the first of them included."""
    kept = [0, *range(1, len(clip.frames), every)]
    return replace(clip, frames=clip.frames[kept], points=clip.points[kept], detected=clip.detected[kept])


def animated_by(method: Method) -> Animate:
    """A trained method as one that animates clips; it is in training mode again afterwards."""

    def animate(clip: Clip) -> Tensor:
        method.networks.eval()
        portrait = method.portrait(clip.frames[:1])
        predictions = torch.cat([portrait(driving) for driving in clip.frames[1:].split(BATCH)])
        method.networks.train()
        return predictions.clamp(0, 1)

    return animate


def copied(clip: Clip) -> Tensor:
    """The source for every driving frame."""
    return copy_source(clip.frames[:1], len(clip.frames) - 1)


def warped(clip: Clip) -> Tensor:
    """The source warped by its cached landmarks."""
    return warp_by_landmarks(clip.frames[:1], clip.points, clip.detected)


COPY = "copy the source"
BASELINES: dict[str, Animate] = {COPY: copied, "landmark warp": warped}
