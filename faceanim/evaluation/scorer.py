"""All metrics of all methods on one item, by batches of driving frames: memory is flat in its length."""

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
from faceanim.evaluation.test_set import TestItem, read_clip_frames
from faceanim.faces.landmark_detectors import MEDIAPIPE_WEIGHTS, MediaPipeDetector, find_dlib_weights
from faceanim.media.tensors import resize_frames, to_float, to_uint8
from faceanim.models.pretrained import fetch_weights
from faceanim.tables import file_sha256


@dataclass(frozen=True)
class MetricModels:
    """The networks that measure.

    Attributes:
        lpips: None where AlexNet's weights are not there.
        faces: None where dlib is not installed.
        networks: SHA-256 of the weights of each that is there, by name.
        left_out: why a metric is not told, by its name.
    """

    lpips: Lpips | None
    faces: FaceReader | None
    networks: dict[str, str]
    left_out: dict[str, str]


@contextmanager
def load_metric_models(fetch: bool) -> Iterator[MetricModels]:
    """The instruments that can be had here.

    Args:
        fetch: whether weights that are not in the weights folder are fetched.
    """
    networks: dict[str, str] = {}
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        compare = irises = faces = None
        with _skip_if_missing(["lpips"], "AlexNet's weights are not there", left_out):
            path = fetch_weights(image_metrics.LPIPS_WEIGHTS, fetch=fetch)
            compare, networks["lpips"] = Lpips(path), file_sha256(path)
        with _skip_if_missing(["gaze"], "MediaPipe or its weights are not there", left_out):
            path = fetch_weights(MEDIAPIPE_WEIGHTS, fetch=fetch)
            irises = stack.enter_context(closing(MediaPipeDetector()))
            networks["irises"] = file_sha256(path)
        with _skip_if_missing(FACE_METRICS, "dlib or its weights are not there", left_out):
            faces = FaceReader(irises)
            networks["landmarks"] = file_sha256(find_dlib_weights())
            networks["identity"] = file_sha256(find_identity_weights())
        yield MetricModels(compare, faces, networks, left_out)


@contextmanager
def _skip_if_missing(metrics: Iterable[str], reason: str, left_out: dict[str, str]) -> Iterator[None]:
    """Leave metrics out if what measures them is missing, for a reason that names no path of this machine."""
    try:
        yield
    except (FaceanimError, ModuleNotFoundError) as error:
        left_out |= dict.fromkeys(metrics, reason)
        print(f"{', '.join(metrics)} left out: {error}", file=sys.stderr)


IDENTITY_STRIDE = 5
"""Identity is told of each so-manyth driving frame, the first included: it changes slowly, and costs most."""
ANIMATION_SIZE_METHODS = (
    MethodName.PREDICTION,
    MethodName.WARPED,
    MethodName.COPY_SOURCE,
    MethodName.LANDMARK_WARP,
)
"""The methods that are scored at the animation size; the others, at that of the stored crops."""
FACE_METHODS = (MethodName.PREDICTION, MethodName.COPY_SOURCE, MethodName.LANDMARK_WARP)
"""The methods in whose frames faces are read."""

NO_READING = FaceReading(None, None, None)

Columns = dict[str, NDArray[np.float64]]
"""By name of a metric, one value a driving frame; NaN where it cannot be told."""


class ItemScorer:
    """Scores the methods on an item.

    Args:
        item: what is done.
        candidate: who does it.
        landmarks: folder of the landmarks tables, for the baselines.
        instruments: what measures.

    Raises:
        FaceanimError: the crops are of another size than the candidate's.
    """

    def __init__(self, item: TestItem, candidate: Method, landmarks: Path, instruments: MetricModels) -> None:
        self._item = item
        self._size = candidate.size
        self._instruments = instruments
        source = to_float(read_clip_frames(item.source, slice(1)))
        if source.shape[-1] != candidate.output_size:
            raise FaceanimError(
                f"the crops are {source.shape[-1]} pixels wide and the model makes {candidate.output_size}: "
                "bring both up to date with `dvc repro`"
            )
        self._act = candidate.prepare(item)
        self._baselines = prepare_baselines(item, landmarks, candidate.size)
        self._source = NO_READING
        if item.task != Task.SUPER_RESOLUTION:
            self._source = self._read(resize_frames(source, candidate.size), [True])[0]
        self._flicker: dict[MethodName, Flicker] = {}

    @torch.inference_mode()
    def score(self, batch_size: int) -> dict[MethodName, Columns]:
        """Score all driving frames, so many in memory at a time."""
        scores: dict[MethodName, Columns] = {}
        for start in range(1, 1 + self._item.frames, batch_size):
            frames = slice(start, min(start + batch_size, 1 + self._item.frames))
            for method, columns in self._batch(frames).items():
                # Into arrays that are there from the beginning: small ones that stay, one batch's after the
                # other, keep the allocator from using again what lay between them, 200 kB a frame.
                whole = scores.setdefault(method, self._unscored())
                for name, values in columns.items():
                    whole[name][frames.start - 1 : frames.stop - 1] = values
        return scores

    def _unscored(self) -> Columns:
        return {name: np.full(self._item.frames, np.nan) for name in METRIC_NAMES}

    def _batch(self, frames: slice) -> dict[MethodName, Columns]:
        crops = to_float(read_clip_frames(self._item.driving, frames))
        driving = resize_frames(crops, self._size)
        answers = self._act(crops, frames) | self._baselines(crops, frames)
        told = [number % IDENTITY_STRIDE == 1 for number in range(frames.start, frames.stop)]
        wanted = self._read(driving, told) if any(method in FACE_METHODS for method in answers) else []
        found = {}
        for method, made in answers.items():
            target = driving if method in ANIMATION_SIZE_METHODS else crops
            columns = self._pixels(method, made.cpu(), target)
            if method in FACE_METHODS:
                columns |= self._faces(method, made, wanted, told)
            found[method] = columns
        return found

    def _pixels(self, method: MethodName, made: Tensor, target: Tensor) -> Columns:
        """What frames alone tell; in a re-enactment no frame is the right one, and only flicker is told."""
        flicker = self._flicker.setdefault(method, Flicker())
        columns = {"flicker": flicker.add(made, target)}
        if self._item.task != Task.REENACTMENT:
            tensors = compute_frame_metrics(made, target)
            if self._instruments.lpips is not None:
                tensors["lpips"] = self._instruments.lpips(made, target)
            columns |= {name: each.double().numpy() for name, each in tensors.items()}
        return columns

    def _faces(
        self, method: MethodName, made: Tensor, wanted: Sequence[FaceReading], told: Sequence[bool]
    ) -> Columns:
        copied = method == MethodName.COPY_SOURCE
        faces = [self._source] * len(made) if copied else self._read(made, told)
        rows = [
            compute_face_metrics(
                face, driving, self._identity(driving), self._item.task == Task.RECONSTRUCTION
            )
            for face, driving in zip(faces, wanted, strict=True)
        ]
        return to_columns(rows)

    def _identity(self, driving: FaceReading) -> Embedding | None:
        """Of the person to be shown: the source's, whom a reconstruction has in the driving frame itself."""
        return driving.embedding if self._item.task == Task.RECONSTRUCTION else self._source.embedding

    def _read(self, frames: Tensor, told: Sequence[bool]) -> list[FaceReading]:
        reader = self._instruments.faces
        if reader is None:
            return [NO_READING] * len(frames)
        return [reader.read(frame, identity) for frame, identity in zip(to_uint8(frames), told, strict=True)]


def to_columns(rows: Sequence[Mapping[str, float]]) -> Columns:
    """Metrics of frames as columns, NaN where a frame lacks one."""
    names = {name for row in rows for name in row}
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}


class Flicker:
    """The second difference of pixels in time, of made frames beyond that of the driving ones.

    Steady motion has none; what appears in one frame and is gone in the next has most. Of the driving video
    itself it is 0; a still picture has less than nothing.
    """

    def __init__(self) -> None:
        self._made = self._target = torch.empty(0)

    def add(self, made: Tensor, target: Tensor) -> NDArray[np.float64]:
        """Of the next frames (B, 3, H, W): (B,), NaN for the clip's first two."""
        self._made = torch.cat((self._made, made)) if len(self._made) else made
        self._target = torch.cat((self._target, target)) if len(self._target) else target
        excess = second_difference(self._made) - second_difference(self._target)
        # Copies, for a view would keep all of them.
        self._made, self._target = self._made[-2:].clone(), self._target[-2:].clone()
        return np.pad(excess.double().numpy(), (len(made) - len(excess), 0), constant_values=np.nan)


def second_difference(frames: Tensor) -> Tensor:
    """Mean absolute second difference of each frame from the third on: (N, 3, H, W) to (max(N - 2, 0),)."""
    if len(frames) < 3:
        return frames.new_empty(0)
    return (frames[2:] - 2 * frames[1:-1] + frames[:-2]).abs().mean(dim=(1, 2, 3))
