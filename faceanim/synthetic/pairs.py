"""Training pairs that are rendered as they are needed, with the truth about them: no files."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from faceanim.faces.landmark_sets import IBUG68
from faceanim.synthetic.head import Floats, load_head
from faceanim.synthetic.people.person import Person, make_person
from faceanim.synthetic.scenes.camera import expose
from faceanim.synthetic.take import Frame, compose_light, make_take, photograph
from faceanim.synthetic.truth import PairTruth, find_geometry, pair_truth

CLIP_FRAMES, CLIP_FPS = 60, 25.0
"""Length of the takes that pairs are drawn from. Frames at random of 2.4 s lie as far apart as those of real
clips."""
STEPS_A_PERSON = 96
"""Steps for which a slot of the batch keeps its person, who takes as long to make as 30 frames to draw."""
OVERSIZE = 2
"""Frames are photographed so much larger and shrunk, as crops are from videos: sharp, but without a camera's
halos."""


class RenderedBatch(NamedTuple):
    """A batch of rendered pairs.

    Places are x then y in [-1, 1], where -1 and 1 are the centers of the outermost pixels.

    Attributes:
        source: source frames, (B, 3, S, S), RGB in [0, 1].
        driving: driving frames, of the same shape and range.
        source_landmarks: (B, 68, 2), iBUG's landmarks of the source.
        driving_landmarks: the same for the driving frames.
        grid: (B, S, S, 2), where the source has, or would have, what each pixel of the driving frame shows.
        visible: (B, 1, S, S), 1 where the source shows it, else 0.
    """

    source: Tensor
    driving: Tensor
    source_landmarks: Tensor
    driving_landmarks: Tensor
    grid: Tensor
    visible: Tensor


class RenderedPairs(Dataset[RenderedBatch]):
    """Batches of pairs of frames of people who do not exist, one batch for each training step.

    Batch `i` depends on the seed and on `i` only, so any number of workers makes the same batches.

    Args:
        size: side of the frames, in pixels.
        batch_size: pairs in a batch.
        steps: number of batches.
        seed: seed of people and takes.
    """

    def __init__(self, size: int, batch_size: int, steps: int, seed: int) -> None:
        self.size, self.batch_size, self.steps, self.seed = size, batch_size, steps, seed

    def __len__(self) -> int:
        """Return the number of batches."""
        return self.steps

    def __getitem__(self, step: int) -> RenderedBatch:
        """Render the batch of a step."""
        if not 0 <= step < self.steps:
            raise IndexError(step)
        return self.render(step, range(self.batch_size))

    def render(self, step: int, slots: Sequence[int]) -> RenderedBatch:
        """Render some pairs of the batch of a step."""
        pairs = [self._render(step, slot) for slot in slots]
        sources, drivings, source_landmarks, driving_landmarks, truths = zip(*pairs, strict=True)
        return RenderedBatch(
            source=_to_tensor(sources),
            driving=_to_tensor(drivings),
            source_landmarks=torch.from_numpy(np.stack(source_landmarks)),
            driving_landmarks=torch.from_numpy(np.stack(driving_landmarks)),
            grid=torch.from_numpy(np.stack([truth.grid for truth in truths])),
            visible=torch.from_numpy(np.stack([truth.visible for truth in truths]))[:, None].float(),
        )

    def _render(self, step: int, slot: int) -> tuple[Frame, Frame, Floats, Floats, PairTruth]:
        rng = np.random.default_rng((self.seed, step, slot))
        # The slots change their people at different steps, which spreads the work.
        turn = (step + slot * STEPS_A_PERSON // self.batch_size) // STEPS_A_PERSON
        person = _remember_person(self.seed, turn, slot)
        side = OVERSIZE * self.size
        take = make_take(int(rng.integers(2**31)), (side, side), CLIP_FRAMES, CLIP_FPS, "head")
        numbers = [int(number) for number in rng.choice(CLIP_FRAMES, 2, replace=False)]
        geometries = [find_geometry(person, take, number, samples=1) for number in numbers]
        lights = [
            compose_light(person, take, number, geometry.posed, 1, geometry.fragments)
            for number, geometry in zip(numbers, geometries, strict=True)
        ]
        camera = expose(take.camera, lights[0])
        source, driving = (
            self._shrink(photograph(take, camera, number, light))
            for number, light in zip(numbers, lights, strict=True)
        )
        shrunk = [geometry.shrunk(OVERSIZE) for geometry in geometries]
        source_landmarks, driving_landmarks = (self._landmarks(geometry.posed.pixels) for geometry in shrunk)
        truth = pair_truth(person, take, numbers[0], numbers[1], *shrunk)
        return source, driving, source_landmarks, driving_landmarks, truth

    def _shrink(self, frame: Frame) -> Frame:
        size = (self.size, self.size)
        return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _landmarks(self, pixels: Floats) -> Floats:
        points = load_head().landmarks(pixels[: len(load_head().mean)])[list(IBUG68)]
        return np.asarray(points * (2 / (self.size - 1)) - 1, np.float32)


@lru_cache(maxsize=32)
def _remember_person(seed: int, turn: int, slot: int) -> Person:
    return make_person(int(np.random.default_rng((seed, turn, slot)).integers(2**31)))


def _to_tensor(frames: Sequence[Frame]) -> Tensor:
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 255
