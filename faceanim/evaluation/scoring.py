"""All metrics of all methods on one item, by batches of driving frames: memory is flat in its length."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceanim.errors import FaceanimError
from faceanim.evaluation.candidates import Candidate, baselines
from faceanim.evaluation.catalog import METRIC_NAMES, Method, Task
from faceanim.evaluation.faces import Embedding, Face, face_metrics
from faceanim.evaluation.instruments import Instruments
from faceanim.evaluation.metrics import frame_metrics
from faceanim.evaluation.test_set import Item, read_frames
from faceanim.inference import resize, to_float, to_uint8

IDENTITY_EVERY = 5
"""Identity is told of each so-manyth driving frame, the first included: it changes slowly, and costs most."""
ANIMATED = (Method.PREDICTION, Method.WARPED, Method.COPY_SOURCE, Method.LANDMARK_WARP)
"""The methods that are scored at the animation size; the others, at that of the stored crops."""
FACES_OF = (Method.PREDICTION, Method.COPY_SOURCE, Method.LANDMARK_WARP)
"""The methods in whose frames faces are read."""

NOTHING_READ = Face(None, None, None)

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

    def __init__(self, item: Item, candidate: Candidate, landmarks: Path, instruments: Instruments) -> None:
        self._item = item
        self._size = candidate.size
        self._instruments = instruments
        source = to_float(read_frames(item.source, slice(1)))
        if source.shape[-1] != candidate.output_size:
            raise FaceanimError(
                f"the crops are {source.shape[-1]} pixels wide and the model makes {candidate.output_size}: "
                "bring both up to date with `dvc repro`"
            )
        self._act = candidate.begin(item)
        self._baselines = baselines(item, landmarks, candidate.size)
        self._source = NOTHING_READ
        if item.task != Task.SUPER_RESOLUTION:
            self._source = self._read(resize(source, candidate.size), [True])[0]
        self._flicker: dict[Method, Flicker] = {}

    @torch.inference_mode()
    def score(self, batch_size: int) -> dict[Method, Columns]:
        """Score all driving frames, so many in memory at a time."""
        scores: dict[Method, Columns] = {}
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

    def _batch(self, frames: slice) -> dict[Method, Columns]:
        crops = to_float(read_frames(self._item.driving, frames))
        driving = resize(crops, self._size)
        answers = self._act(crops, frames) | self._baselines(crops, frames)
        told = [number % IDENTITY_EVERY == 1 for number in range(frames.start, frames.stop)]
        wanted = self._read(driving, told) if any(method in FACES_OF for method in answers) else []
        found = {}
        for method, made in answers.items():
            target = driving if method in ANIMATED else crops
            columns = self._pixels(method, made.cpu(), target)
            if method in FACES_OF:
                columns |= self._faces(method, made, wanted, told)
            found[method] = columns
        return found

    def _pixels(self, method: Method, made: Tensor, target: Tensor) -> Columns:
        """What frames alone tell; in a re-enactment no frame is the right one, and only flicker is told."""
        flicker = self._flicker.setdefault(method, Flicker())
        columns = {"flicker": flicker.add(made, target)}
        if self._item.task != Task.REENACTMENT:
            tensors = frame_metrics(made, target)
            if self._instruments.lpips is not None:
                tensors["lpips"] = self._instruments.lpips(made, target)
            columns |= {name: each.double().numpy() for name, each in tensors.items()}
        return columns

    def _faces(self, method: Method, made: Tensor, wanted: Sequence[Face], told: Sequence[bool]) -> Columns:
        copied = method == Method.COPY_SOURCE
        faces = [self._source] * len(made) if copied else self._read(made, told)
        rows = [
            face_metrics(face, driving, self._identity(driving), self._item.task == Task.RECONSTRUCTION)
            for face, driving in zip(faces, wanted, strict=True)
        ]
        return columns_of(rows)

    def _identity(self, driving: Face) -> Embedding | None:
        """Of the person to be shown: the source's, whom a reconstruction has in the driving frame itself."""
        return driving.embedding if self._item.task == Task.RECONSTRUCTION else self._source.embedding

    def _read(self, frames: Tensor, told: Sequence[bool]) -> list[Face]:
        reader = self._instruments.faces
        if reader is None:
            return [NOTHING_READ] * len(frames)
        return [reader.read(frame, identity) for frame, identity in zip(to_uint8(frames), told, strict=True)]


def columns_of(rows: Sequence[Mapping[str, float]]) -> Columns:
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
