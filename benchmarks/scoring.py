"""Pinned protocol of the quality benchmark: all held-out clips, with the metrics of an evaluation."""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from torch import Tensor

from benchmarks.clips import Animate, Clip
from faceanim.evaluation.face_metrics import FACE_METRICS, FaceReader, FaceReading, compute_face_metrics
from faceanim.evaluation.image_metrics import compute_frame_metrics, psnr
from faceanim.evaluation.regions import compute_region_metrics, find_clip_regions
from faceanim.evaluation.scorer import IDENTITY_STRIDE
from faceanim.media.tensors import to_uint8

Scores = dict[str, float]
"""Scores of a clip or of a set of clips: PIXEL_METRICS, REGION_METRICS and FACE_METRICS (NaN: not available),
the number of driving `frames`, the number of `faces` that dlib finds in them, and the number of these that it
misses in the predictions (`missed`)."""
Faces = list[FaceReading]
"""The face in each frame."""


@cache
def load_face_reader() -> FaceReader:
    """Load dlib's networks, once per process."""
    return FaceReader(None)


def find_faces(frames: Tensor) -> Faces:
    """Read the faces in frames (N, 3, S, S) in [0, 1], and the identity in every few of them."""
    reader = load_face_reader()
    return [
        reader.read(frame, number % IDENTITY_STRIDE == 0) for number, frame in enumerate(to_uint8(frames))
    ]


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
        driving, size = clip.frames[1:], clip.frames.shape[-1]
        regions = find_clip_regions(clip.points, clip.detected, size)
        metrics = compute_frame_metrics(predictions, driving)
        metrics |= compute_region_metrics(predictions, driving, regions)
        scores = {name: float(values.nanmean()) for name, values in metrics.items()}
        (source,) = find_faces(clip.frames[:1])
        face_scores = compare_faces(find_faces(predictions), faces, source)
        scored.append(scores | {"frames": len(predictions)} | face_scores)
    return scored


def compare_faces(predicted: Faces, driving: Faces, source: FaceReading) -> Scores:
    """Compute the mean face metrics of a clip, and the counts."""
    pairs = zip(predicted, driving, strict=True)
    frames = [compute_face_metrics(face, target, source.embedding, same_face=True) for face, target in pairs]
    scores = {name: mean_known([frame.get(name, math.nan) for frame in frames]) for name in FACE_METRICS}
    missed = [frame["missed"] for frame in frames if "missed" in frame]
    return scores | {"faces": len(missed), "missed": sum(missed)}


def mean_known(values: Sequence[float]) -> float:
    """Average the values that are not NaN; NaN if there are none."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def average_clips(scored: Sequence[Scores]) -> Scores:
    """Average the scores over the clips that have them, and sum the counts."""
    counts = ("frames", "faces", "missed")
    means = {name: mean_known([clip[name] for clip in scored]) for name in scored[0] if name not in counts}
    return means | {name: sum(clip[name] for clip in scored) for name in counts}


def mean_psnr(clips: Sequence[Clip], animate: Animate) -> float:
    """Compute only the PSNR, averaged over the clips, in dB."""
    return float(np.mean([float(psnr(animate(clip), clip.frames[1:]).mean()) for clip in clips]))
