"""One training of the quality benchmark, in a process of its own: `python -m benchmarks.trial JOB`.

The job is JSON, and so is the result, the last line of its output; the curve goes to the standard error.
"""

import csv
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.common import cpu_threads
from benchmarks.methods import Method, Ours, Reference
from benchmarks.scoring import (
    Animate,
    Clip,
    Figures,
    animated_by,
    find_faces,
    keypoint_error,
    mean,
    mean_psnr,
    read_clips,
    score,
    thinned,
)
from faceanim.config import AugmentConfig, Section, TrainAnimationConfig, load_params
from faceanim.datasets.animation import PairDataset
from faceanim.datasets.frames import CropFrames
from faceanim.media.frames import resize_square
from faceanim.media.tensors import to_uint8

POINTS_OF_CURVE = 4
EVERY = 10
"""Of the held-out driving frames, one in so many is in the curve."""
ITS_AUGMENTATION = AugmentConfig(
    mirror=True, rotation=0.0, scale=0.0, stretch=0.0, shift=0.0, color_jitter=0.1
)
"""What the reference's configuration asks for, near enough: flips, and changes of colour by 0.1."""
PEOPLE, CELL = 6, 128
"""Rows of the picture grid, and the side of its pictures."""


class ReferenceConfig(Section):
    """How the reference is built: see `benchmarks.methods.Reference`."""

    checkout: str
    half: bool
    scale_factor: float


class Job(Section):
    """What to train, on what, and for how long.

    Attributes:
        name: of the row.
        seconds: of training alone.
        threads: to compute on.
        every: one driving frame in so many is scored.
        data: folder with `crops.parquet` and `landmarks`.
        out: folder for what is kept, or None.
        swapped: train on the held-out people and score on the others, where something is to be chosen.
        config: of our training; for the reference, what both have in common is taken from it.
        reference: None for ours.
    """

    name: str
    seconds: float
    threads: int
    every: int
    data: str
    out: str | None
    swapped: bool
    config: TrainAnimationConfig
    reference: ReferenceConfig | None


def splits(swapped: bool) -> tuple[str, str]:
    """The split that a job trains on, and the one that it is scored on."""
    return ("test", "train") if swapped else ("train", "test")


def main() -> None:
    """Train, score and print."""
    job = Job.model_validate_json(sys.argv[1], strict=True)
    cpu_threads(job.threads)
    data, size = Path(job.data), job.config.model.size
    train_split, test_split = splits(job.swapped)
    method = build(job, CropFrames(data / "crops.parquet", train_split, size, data / "landmarks"))
    known, clips = (
        [thinned(clip, job.every) for clip in read_clips(data, split, size)]
        for split in (train_split, test_split)
    )
    few = [thinned(clip, max(1, EVERY // job.every)) for clip in clips]
    animate = animated_by(method)

    def report(seconds: float, steps: int) -> None:
        decibels = mean_psnr(few, animate)
        about = f"{job.name}, seed {job.config.seed}"
        print(f"{about}: {seconds:6.1f} s, {steps:5} steps, {decibels:.2f} dB", file=sys.stderr, flush=True)

    steps = train(method, job.seconds, report)
    scored = score(clips, [find_faces(clip.frames[1:]) for clip in clips], animate)
    if job.out:
        keep(method, clips, scored, Path(job.out))
    method.networks.eval()
    error = keypoint_error(method.keypoints, known, clips)
    result = mean(scored) | {
        "steps": steps,
        "samples": steps * job.config.batch_size,
        "landmark_percent": 100 * error,
    }
    print(json.dumps(result))


def build(job: Job, frames: CropFrames) -> Method:
    """The method of a job."""
    if job.reference is None:
        return Ours(job.config, load_params(Path("profiles/sample.yaml")), PairDataset(frames, job.config))
    config = job.config.model_copy(update={"augment": ITS_AUGMENTATION, "num_driving_candidates": 1})
    its = job.reference
    return Reference(Path(its.checkout), its.half, its.scale_factor, config, PairDataset(frames, config))


def train(method: Method, seconds: float, report: Callable[[float, int], None]) -> int:
    """Train for so long and give the steps; the clock stands while the points of the curve are reported."""
    spent, steps = 0.0, 0
    for point in range(1, POINTS_OF_CURVE + 1):
        while spent < seconds * point / POINTS_OF_CURVE:
            began = time.perf_counter()
            steps += 1
            method.step(steps)
            spent += time.perf_counter() - began
        report(spent, steps)
    return steps


def keep(method: Method, clips: Sequence[Clip], scored: Sequence[Figures], out: Path) -> None:
    """Write the weights, each clip's figures as `clips.csv`, and `pictures.png`."""
    method.save(out)
    with (out / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("crop_id", *scored[0]), lineterminator="\n")
        writer.writeheader()
        for clip, figures in zip(clips, scored, strict=True):
            writer.writerow({"crop_id": clip.row["crop_id"], **figures})
    rows = list(picture_rows(clips, animated_by(method)))
    Image.fromarray(np.concatenate(rows)).save(out / "pictures.png")


def picture_rows(clips: Sequence[Clip], animate: Animate) -> Iterator[np.ndarray]:
    """Source, driving frame, prediction: of a person's first clip, the frame least like the source."""
    seen: Counter[str] = Counter()
    for clip in clips:
        person = str(clip.row["person_id"])
        seen[person] += 1
        if seen[person] == 1 and len(seen) <= PEOPLE:
            farthest = 1 + int((clip.frames[1:] - clip.frames[:1]).square().mean(dim=(1, 2, 3)).argmax())
            shown: Tensor = torch.cat((clip.frames[[0, farthest]], animate(clip)[farthest - 1 : farthest]))
            yield np.concatenate([resize_square(picture, CELL) for picture in to_uint8(shown)], axis=1)


if __name__ == "__main__":
    main()
