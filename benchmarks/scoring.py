"""Pinned protocol of the quality benchmark: all held-out clips, image metrics, and landmarks (AKD)."""

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
from faceanim.faces.landmark_detectors import DlibDetector
from faceanim.faces.landmark_sets import EYE_CORNERS, Points
from faceanim.media.frames import resize_square
from faceanim.media.tensors import resize_frames, to_float, to_uint8
from faceanim.schemas import CROPS, Status
from faceanim.tables import Row, read_rows

BATCH = 16
"""Number of frames that are animated at a time."""

Scores = dict[str, float]
"""Scores of a clip or of a set of clips: PIXEL_METRICS; `akd` in pixels; the number of driving `frames`;
the number of `faces` that dlib finds in them; and the number of these that it misses in the predictions
(`missed`)."""
Faces = list[Points | None]
"""Landmarks of each frame, in pixels at FACE_SIDE; None if no face was found."""


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


Detect = Callable[[Tensor], Tensor]
"""Callable that maps frames (B, 3, S, S) in [0, 1] to their keypoints (B, K, 2)."""
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


def find_faces(frames: Tensor) -> Faces:
    """Detect dlib's landmarks in frames (N, 3, S, S) in [0, 1], with dlib's own face detector."""
    detector = DlibDetector()
    faces: Faces = []
    for frame in to_uint8(frames):
        luma = cv2.cvtColor(resize_square(frame, FACE_SIDE), cv2.COLOR_RGB2GRAY)
        landmarks = detector.detect(np.asarray(luma, np.uint8), None)
        faces.append(None if landmarks is None else landmarks.points)
    return faces


def score_clips(clips: Sequence[Clip], driving_faces: Sequence[Faces], animate: Animate) -> list[Scores]:
    """Score a method on each clip.

    Args:
        clips: clips to animate.
        driving_faces: faces in the driving frames of each clip.
        animate: the method.
    """
    scored = []
    for clip, faces in zip(clips, driving_faces, strict=True):
        predictions = animate(clip)
        metrics = compute_frame_metrics(predictions, clip.frames[1:])
        scores = {name: float(values.mean()) for name, values in metrics.items()}
        face_scores = compare_faces(find_faces(predictions), faces)
        scored.append(scores | {"frames": len(predictions)} | face_scores)
    return scored


def compare_faces(predicted: Faces, driving: Faces) -> Scores:
    """Compute the mean landmark distance of a clip, NaN if no frame has both faces, and the counts."""
    pairs = [(face, target) for face, target in zip(predicted, driving, strict=True) if target is not None]
    distances = [np.linalg.norm(face - target, axis=1).mean() for face, target in pairs if face is not None]
    akd = float(np.mean(distances)) if distances else math.nan
    return {"akd": akd, "faces": len(pairs), "missed": len(pairs) - len(distances)}


def average_clips(scored: Sequence[Scores]) -> Scores:
    """Average the scores over the clips, and sum the counts."""
    means = {name: float(np.mean([clip[name] for clip in scored])) for name in PIXEL_METRICS}
    sums = {name: sum(clip[name] for clip in scored) for name in ("frames", "faces", "missed")}
    akds = [clip["akd"] for clip in scored if not math.isnan(clip["akd"])]
    return means | {"akd": float(np.mean(akds)) if akds else math.nan} | sums


def mean_psnr(clips: Sequence[Clip], animate: Animate) -> float:
    """Compute only the PSNR, averaged over the clips, in dB."""
    return float(np.mean([float(psnr(animate(clip), clip.frames[1:]).mean()) for clip in clips]))


def keypoint_error(detect: Detect, train: Sequence[Clip], held_out: Sequence[Clip]) -> float:
    """Compute the error of the clips' landmarks predicted from keypoints; see `landmark_error`."""
    train_frames, held_out_frames = (
        [collect_posed_frames(detect, clip) for clip in clips] for clips in (train, held_out)
    )
    (left, _), (_, right) = EYE_CORNERS["ibug68"]
    return landmark_error(train_frames, held_out_frames, (left, right))


def collect_posed_frames(detect: Detect, clip: Clip) -> PosedFrames:
    """Collect the keypoints and landmarks of the frames that have landmarks."""
    frames, points = clip.frames[clip.detected], clip.points[clip.detected]
    keypoints = torch.cat([detect(batch) for batch in frames.split(BATCH)])
    return PosedFrames(keypoints.numpy(), points.numpy())


def thin_clip(clip: Clip, every: int) -> Clip:
    """Keep the source and one in `every` driving frames of a clip, starting with the first of them."""
    kept = [0, *range(1, len(clip.frames), every)]
    return replace(clip, frames=clip.frames[kept], points=clip.points[kept], detected=clip.detected[kept])


def make_animate(method: Method) -> Animate:
    """Return a callable that animates clips by a trained method and leaves it in training mode."""

    def animate(clip: Clip) -> Tensor:
        method.networks.eval()
        drive = method.prepare(clip.frames[:1])
        predictions = torch.cat([drive(driving) for driving in clip.frames[1:].split(BATCH)])
        method.networks.train()
        return predictions.clamp(0, 1)

    return animate


def copy_clip_source(clip: Clip) -> Tensor:
    """Predict the source for every driving frame."""
    return copy_source(clip.frames[:1], len(clip.frames) - 1)


def warp_clip_source(clip: Clip) -> Tensor:
    """Predict the source warped by its landmarks."""
    return warp_by_landmarks(clip.frames[:1], clip.points, clip.detected)


COPY = "copy the source"
BASELINES: dict[str, Animate] = {COPY: copy_clip_source, "landmark warp": warp_clip_source}
