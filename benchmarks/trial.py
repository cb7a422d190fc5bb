"""One training of the quality benchmark, in a separate process: `python -m benchmarks.trial JOB`.

The job is JSON, and so is the result, the last line of the output. The curve is written to standard error.
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

from benchmarks.common import set_cpu_threads
from benchmarks.methods import FaceanimMethod, Method, ReferenceMethod
from benchmarks.scoring import (
    Animate,
    Clip,
    Scores,
    average_clips,
    find_faces,
    keypoint_error,
    make_animate,
    mean_psnr,
    read_clips,
    score_clips,
    thin_clip,
)
from faceanim.config import AugmentConfig, Section, TrainAnimationConfig, load_params
from faceanim.datasets.animation import PairDataset
from faceanim.datasets.frames import CropFrames
from faceanim.media.frames import resize_square
from faceanim.media.tensors import to_uint8

CURVE_POINTS = 4
"""Number of points of the curve."""
CURVE_EVERY = 10
"""Stride of the held-out driving frames on which the points of the curve are scored."""
REFERENCE_AUGMENTATION = AugmentConfig(
    mirror=True, rotation=0.0, scale=0.0, stretch=0.0, shift=0.0, color_jitter=0.1
)
"""Augmentation that approximates the reference's configuration: flips, and color changes by 0.1."""
GRID_PEOPLE, GRID_CELL = 6, 128
"""Number of rows of the image grid, and side of its cells in pixels."""


class ReferenceConfig(Section):
    """Configuration of the reference; see `benchmarks.methods.ReferenceMethod`."""

    checkout: str
    half: bool
    scale_factor: float


class Job(Section):
    """A training: method, data and duration.

    Attributes:
        name: name of the row.
        seconds: duration of the training alone.
        threads: CPU threads.
        every: stride of the driving frames that are scored.
        data: folder with `crops.parquet` and `landmarks`.
        out: output folder of weights, scores and images, or None.
        swapped: train on the held-out people and score on the others, for trainings by which choices are
            made.
        config: configuration of faceanim's training; the reference uses what both have in common.
        reference: configuration of the reference; None to train faceanim.
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


def select_splits(swapped: bool) -> tuple[str, str]:
    """Return the split on which a job is trained, and the one on which it is scored."""
    return ("test", "train") if swapped else ("train", "test")


def main() -> None:
    """Train, score, and print the result."""
    job = Job.model_validate_json(sys.argv[1], strict=True)
    set_cpu_threads(job.threads)
    data, size = Path(job.data), job.config.model.size
    train_split, test_split = select_splits(job.swapped)
    method = build_method(job, CropFrames(data / "crops.parquet", train_split, size, data / "landmarks"))
    train_clips, test_clips = (
        [thin_clip(clip, job.every) for clip in read_clips(data, split, size)]
        for split in (train_split, test_split)
    )
    curve_clips = [thin_clip(clip, max(1, CURVE_EVERY // job.every)) for clip in test_clips]
    animate = make_animate(method)

    def print_point(seconds: float, steps: int) -> None:
        psnr = mean_psnr(curve_clips, animate)
        label = f"{job.name}, seed {job.config.seed}"
        print(f"{label}: {seconds:6.1f} s, {steps:5} steps, {psnr:.2f} dB", file=sys.stderr, flush=True)

    steps = train(method, job.seconds, print_point)
    scored = score_clips(test_clips, [find_faces(clip.frames[1:]) for clip in test_clips], animate)
    if job.out:
        save_results(method, test_clips, scored, Path(job.out))
    method.networks.eval()
    error = keypoint_error(method.detect, train_clips, test_clips)
    result = average_clips(scored) | {
        "steps": steps,
        "samples": steps * job.config.batch_size,
        "landmark_percent": 100 * error,
    }
    print(json.dumps(result))


def build_method(job: Job, frames: CropFrames) -> Method:
    """Build the method that a job trains."""
    if job.reference is None:
        params = load_params(Path("profiles/sample.yaml"))
        return FaceanimMethod(job.config, params, PairDataset(frames, job.config))
    config = job.config.model_copy(update={"augment": REFERENCE_AUGMENTATION, "num_driving_candidates": 1})
    checkout, half = Path(job.reference.checkout), job.reference.half
    batches = PairDataset(frames, config)
    return ReferenceMethod(checkout, half, job.reference.scale_factor, config, batches)


def train(method: Method, seconds: float, on_point: Callable[[float, int], None]) -> int:
    """Train for a duration and return the number of steps.

    Args:
        method: the method.
        seconds: duration, not including the time in which points of the curve are computed.
        on_point: called at each point of the curve with the seconds and steps so far.
    """
    spent, steps = 0.0, 0
    for point in range(1, CURVE_POINTS + 1):
        while spent < seconds * point / CURVE_POINTS:
            start = time.perf_counter()
            steps += 1
            method.step(steps)
            spent += time.perf_counter() - start
        on_point(spent, steps)
    return steps


def save_results(method: Method, clips: Sequence[Clip], scored: Sequence[Scores], out: Path) -> None:
    """Save the weights, the scores of each clip as `clips.csv`, and an image grid as `pictures.png`."""
    method.save(out)
    with (out / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("crop_id", *scored[0]), lineterminator="\n")
        writer.writeheader()
        for clip, scores in zip(clips, scored, strict=True):
            writer.writerow({"crop_id": clip.row["crop_id"], **scores})
    rows = list(draw_rows(clips, make_animate(method)))
    Image.fromarray(np.concatenate(rows)).save(out / "pictures.png")


def draw_rows(clips: Sequence[Clip], animate: Animate) -> Iterator[np.ndarray]:
    """Yield the rows of the image grid, one for each of the first people.

    Each row shows source, driving frame and prediction, for the frame of the person's first clip that is
    least similar to the source.
    """
    seen: Counter[str] = Counter()
    for clip in clips:
        person = str(clip.row["person_id"])
        seen[person] += 1
        if seen[person] == 1 and len(seen) <= GRID_PEOPLE:
            farthest = 1 + int((clip.frames[1:] - clip.frames[:1]).square().mean(dim=(1, 2, 3)).argmax())
            images: Tensor = torch.cat((clip.frames[[0, farthest]], animate(clip)[farthest - 1 : farthest]))
            yield np.concatenate([resize_square(image, GRID_CELL) for image in to_uint8(images)], axis=1)


if __name__ == "__main__":
    main()
