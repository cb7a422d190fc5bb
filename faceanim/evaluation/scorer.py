"""Scoring of one item: all metrics of all methods, computed in batches of driving frames.

Memory does not grow with the length of the clip. Metrics whose pretrained networks are missing are skipped
and listed in the report.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceanim.errors import FaceanimError
from faceanim.evaluation import image_metrics
from faceanim.evaluation.face_metrics import (
    FACE_METRICS,
    Embedding,
    FaceReader,
    FaceReading,
    compute_face_metrics,
    find_identity_weights,
)
from faceanim.evaluation.image_metrics import Lpips, compute_frame_metrics
from faceanim.evaluation.methods import Method, prepare_baselines
from faceanim.evaluation.protocol import METRIC_NAMES, MethodName, Task
from faceanim.evaluation.regions import compute_region_metrics, find_clip_regions
from faceanim.evaluation.test_set import TestItem, read_clip_frames, read_clip_points
from faceanim.faces.landmark_detectors import MEDIAPIPE_WEIGHTS, MediaPipeDetector, find_dlib_weights
from faceanim.media.tensors import resize_frames, to_float, to_uint8
from faceanim.models.pretrained import fetch_weights
from faceanim.tables import file_sha256

IDENTITY_STRIDE = 5
"""Stride at which identity is measured, from the first driving frame on: it changes slowly and costs most."""
ANIMATION_SIZE_METHODS = (
    MethodName.PREDICTION,
    MethodName.WARPED,
    MethodName.COPY_SOURCE,
    MethodName.LANDMARK_WARP,
)
"""Methods that are scored at the animation size, by region and by their faces.

The others are scored at the size of the stored crops, by their pixels alone.
"""
NO_READING = FaceReading(None, None, None)

Columns = dict[str, NDArray[np.float64]]
"""Values of the driving frames by name of the metric, (N,) each; NaN where unavailable."""


@dataclass(frozen=True)
class MetricModels:
    """Pretrained networks used by metrics.

    Attributes:
        lpips: LPIPS; None if AlexNet's weights are missing.
        faces: reader of faces; None if dlib is not installed.
        networks: SHA-256 of the weights of each available network, by name.
        left_out: reason why a metric is skipped, by the metric's name.
    """

    lpips: Lpips | None
    faces: FaceReader | None
    networks: dict[str, str]
    left_out: dict[str, str]


@contextmanager
def load_metric_models(fetch: bool) -> Iterator[MetricModels]:
    """Load the networks used by metrics; a metric whose network is missing is skipped.

    Args:
        fetch: whether to download weights that are not in the weights folder.
    """
    networks: dict[str, str] = {}
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        lpips = irises = faces = None
        with _skip_if_missing(["lpips"], "AlexNet's weights are not there", left_out):
            path = fetch_weights(image_metrics.LPIPS_WEIGHTS, fetch=fetch)
            lpips, networks["lpips"] = Lpips(path), file_sha256(path)
        with _skip_if_missing(["gaze"], "MediaPipe or its weights are not there", left_out):
            path = fetch_weights(MEDIAPIPE_WEIGHTS, fetch=fetch)
            irises = stack.enter_context(closing(MediaPipeDetector()))
            networks["irises"] = file_sha256(path)
        with _skip_if_missing(FACE_METRICS, "dlib or its weights are not there", left_out):
            faces = FaceReader(irises)
            networks["landmarks"] = file_sha256(find_dlib_weights())
            networks["identity"] = file_sha256(find_identity_weights())
        yield MetricModels(lpips, faces, networks, left_out)


@contextmanager
def _skip_if_missing(metrics: Iterable[str], reason: str, left_out: dict[str, str]) -> Iterator[None]:
    """Skip metrics whose network fails to load in the block; `reason` must not contain a local path."""
    try:
        yield
    except (FaceanimError, ModuleNotFoundError) as error:
        left_out |= dict.fromkeys(metrics, reason)
        print(f"skipping metrics {', '.join(metrics)}: {error}", file=sys.stderr)


class ItemScorer:
    """Scorer of the evaluated method and the baselines on one item.

    Args:
        item: item to be predicted.
        method: the evaluated method.
        landmarks: folder of the landmarks tables, for the baselines and the regions.
        metric_models: networks used by metrics.

    Raises:
        FaceanimError: the crops and the method's output differ in size.
    """

    def __init__(self, item: TestItem, method: Method, landmarks: Path, metric_models: MetricModels) -> None:
        self._item = item
        self._size = method.size
        self._models = metric_models
        source = to_float(read_clip_frames(item.source, slice(1)))
        if source.shape[-1] != method.output_size:
            raise FaceanimError(
                f"the crops are {source.shape[-1]} pixels wide, but the model outputs {method.output_size}; "
                "update both with `dvc repro`"
            )
        self._predict = method.prepare(item)
        self._predict_baselines = prepare_baselines(item, landmarks, method.size)
        # In a reconstruction the source is the first frame of the driving clip.
        self._landmarks = (
            read_clip_points(landmarks, item.driving) if item.task == Task.RECONSTRUCTION else None
        )
        self._source = NO_READING
        if item.task != Task.SUPER_RESOLUTION:
            self._source = self._read(resize_frames(source, method.size), [True])[0]
        self._flicker: dict[MethodName, Flicker] = {}

    @torch.inference_mode()
    def score(self, batch_size: int) -> dict[MethodName, Columns]:
        """Score all driving frames, holding `batch_size` of them in memory at a time."""
        scores: dict[MethodName, Columns] = {}
        for start in range(1, 1 + self._item.frames, batch_size):
            frames = slice(start, min(start + batch_size, 1 + self._item.frames))
            for method, columns in self._score_batch(frames).items():
                # Written to arrays allocated at the start: small arrays that stay after each batch keep the
                # allocator from reusing the memory between them, 200 kB per frame.
                whole = scores.setdefault(method, self._empty_columns())
                for name, values in columns.items():
                    whole[name][frames.start - 1 : frames.stop - 1] = values
        return scores

    def _empty_columns(self) -> Columns:
        return {name: np.full(self._item.frames, np.nan) for name in METRIC_NAMES}

    def _score_batch(self, frames: slice) -> dict[MethodName, Columns]:
        crops = to_float(read_clip_frames(self._item.driving, frames))
        driving = resize_frames(crops, self._size)
        predictions = self._predict(crops, frames) | self._predict_baselines(crops, frames)
        with_identity = [number % IDENTITY_STRIDE == 1 for number in range(frames.start, frames.stop)]
        faces = (
            self._read(driving, with_identity)
            if any(method in ANIMATION_SIZE_METHODS for method in predictions)
            else []
        )
        masks = self._find_regions(frames)
        scores = {}
        for method, predicted in predictions.items():
            animated = method in ANIMATION_SIZE_METHODS
            target = driving if animated else crops
            compared = predicted.cpu()
            columns = self._score_pixels(method, compared, target)
            if animated:
                columns |= self._score_faces(method, predicted, faces, with_identity)
                regions = compute_region_metrics(compared, target, masks)
                columns |= {name: values.double().numpy() for name, values in regions.items()}
            scores[method] = columns
        return scores

    def _find_regions(self, frames: slice) -> dict[str, Tensor]:
        """Find the regions of driving frames; there are none where there is no ground truth to compare."""
        if self._landmarks is None:
            return {}
        points, detected = (torch.cat((of_clip[:1], of_clip[frames])) for of_clip in self._landmarks)
        return find_clip_regions(points, detected, self._size)

    def _score_pixels(self, method: MethodName, predicted: Tensor, target: Tensor) -> Columns:
        """Compute the image metrics; a re-enactment has no ground truth, so only its flicker is measured."""
        flicker = self._flicker.setdefault(method, Flicker())
        columns = {"flicker": flicker.add(predicted, target)}
        if self._item.task != Task.REENACTMENT:
            tensors = compute_frame_metrics(predicted, target)
            if self._models.lpips is not None:
                tensors["lpips"] = self._models.lpips(predicted, target)
            columns |= {name: values.double().numpy() for name, values in tensors.items()}
        return columns

    def _score_faces(
        self,
        method: MethodName,
        predicted: Tensor,
        driving_faces: Sequence[FaceReading],
        with_identity: Sequence[bool],
    ) -> Columns:
        copied = method == MethodName.COPY_SOURCE
        faces = [self._source] * len(predicted) if copied else self._read(predicted, with_identity)
        rows = [
            compute_face_metrics(
                face, driving, self._identity(driving), self._item.task == Task.RECONSTRUCTION
            )
            for face, driving in zip(faces, driving_faces, strict=True)
        ]
        return to_columns(rows)

    def _identity(self, driving: FaceReading) -> Embedding | None:
        """Return the embedding of the person to be shown.

        That is the person in the source; in a reconstruction the driving frame itself shows the same person.
        """
        return driving.embedding if self._item.task == Task.RECONSTRUCTION else self._source.embedding

    def _read(self, frames: Tensor, with_identity: Sequence[bool]) -> list[FaceReading]:
        reader = self._models.faces
        if reader is None:
            return [NO_READING] * len(frames)
        return [
            reader.read(frame, identity)
            for frame, identity in zip(to_uint8(frames), with_identity, strict=True)
        ]


def to_columns(rows: Sequence[Mapping[str, float]]) -> Columns:
    """Convert the metrics of frames to columns, with NaN where a frame lacks a metric."""
    names = {name for row in rows for name in row}
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}


class Flicker:
    """Second difference of pixels over time, of the predicted frames minus that of the driving frames.

    Steady motion has none; content that appears in a single frame has the most. The value is 0 for the
    driving video itself and negative for a still image.
    """

    def __init__(self) -> None:
        self._predicted = self._target = torch.empty(0)

    def add(self, predicted: Tensor, target: Tensor) -> NDArray[np.float64]:
        """Measure the next frames (B, 3, H, W): (B,), NaN for the first two of the clip."""
        self._predicted = torch.cat((self._predicted, predicted)) if len(self._predicted) else predicted
        self._target = torch.cat((self._target, target)) if len(self._target) else target
        excess = second_difference(self._predicted) - second_difference(self._target)
        # Copies, because views would keep all frames in memory.
        self._predicted, self._target = self._predicted[-2:].clone(), self._target[-2:].clone()
        return np.pad(excess.double().numpy(), (len(predicted) - len(excess), 0), constant_values=np.nan)


def second_difference(frames: Tensor) -> Tensor:
    """Compute the mean absolute second difference of each frame from the third on: (max(N - 2, 0),).

    Args:
        frames: (N, 3, H, W).
    """
    if len(frames) < 3:
        return frames.new_empty(0)
    return (frames[2:] - 2 * frames[1:-1] + frames[:-2]).abs().mean(dim=(1, 2, 3))
