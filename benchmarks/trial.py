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

from benchmarks.clips import Animate, Clip, read_clips, thin_clip
from benchmarks.common import set_cpu_threads
from benchmarks.methods import FaceanimMethod, Method, ReferenceMethod
from benchmarks.scoring import Scores, average_clips, find_faces, mean_known, mean_psnr, score_clips
from faceanim.config import AugmentConfig, Section, TrainAnimationConfig
from faceanim.datasets.animation import PairDataset
from faceanim.datasets.frames import CropFrames
from faceanim.media.frames import resize_square
from faceanim.media.tensors import to_uint8
from faceanim.training.animation import build_pairs

PACE_STEPS = 10
"""Number of steps by which the pace of a method is measured."""
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
        splits: split on which to train, and split on which to score.
        config: configuration of faceanim's training; the reference uses what both have in common.
        reference: configuration of the reference; None to train faceanim.
    """

    name: str
    seconds: float
    threads: int
    every: int
    data: str
    out: str | None
    splits: tuple[str, str]
    config: TrainAnimationConfig
    reference: ReferenceConfig | None


def main() -> None:
    """Train, score, and print the result."""
    job = Job.model_validate_json(sys.argv[1], strict=True)
    set_cpu_threads(job.threads)
    data, size = Path(job.data), job.config.model.size
    train_split, test_split = job.splits
    frames = CropFrames(data / "crops.parquet", train_split, size, data / "landmarks")
    if job.config.optimizer.decay != "none":
        steps = plan_steps(build_method(job, frames), job.seconds)
        job = job.model_copy(update={"config": job.config.model_copy(update={"steps": steps})})
    method = build_method(job, frames)
    test_clips = [thin_clip(clip, job.every) for clip in read_clips(data, test_split, size)]
    curve_clips = [thin_clip(clip, max(1, CURVE_EVERY // job.every)) for clip in test_clips]
    animate = make_animate(method)

    def print_point(seconds: float, steps: int) -> None:
        psnr = mean_psnr(curve_clips, animate)
        label = f"{job.name}, seed {job.config.seed}"
        print(f"{label}: {seconds:6.1f} s, {steps:5} steps, {psnr:.2f} dB", file=sys.stderr, flush=True)

    steps = train(method, job.seconds, print_point)
    faces = [find_faces(clip.frames[1:]) for clip in test_clips]
    scored = score_clips(test_clips, faces, animate)
    warped = score_clips(test_clips, faces, make_animate(method, warped=True))
    if job.out:
        save_results(method, test_clips, scored, Path(job.out))
    result = average_clips(scored) | compare_with_warp(scored, warped)
    result |= {"steps": steps, "samples": steps * job.config.batch_size}
    print(json.dumps(result))


def make_animate(method: Method, warped: bool = False) -> Animate:
    """Return a callable that animates clips by a trained method and leaves it in training mode.

    Args:
        method: the method.
        warped: whether the callable returns the warped sources behind the predictions instead.
    """

    def animate(clip: Clip) -> Tensor:
        method.networks.eval()
        frames = method.animate(clip)[warped]
        method.networks.train()
        return frames

    return animate


def compare_with_warp(scored: Sequence[Scores], warped: Sequence[Scores]) -> Scores:
    """Compute the gain of predictions on the warped sources behind them, in dB: means, and the worst clip."""
    gains = {
        f"{name}_gain": mean_known([a[name] - b[name] for a, b in zip(scored, warped, strict=True)])
        for name in ("psnr", "psnr_mouth", "psnr_disoccluded")
    }
    worst = min(a["psnr"] - b["psnr"] for a, b in zip(scored, warped, strict=True))
    return gains | {"worst_gain": worst}


def build_method(job: Job, frames: CropFrames) -> Method:
    """Build the method that a job trains."""
    if job.reference is None:
        return FaceanimMethod(job.config, build_pairs(frames, job.config))
    config = job.config.model_copy(update={"augment": REFERENCE_AUGMENTATION, "num_driving_candidates": 1})
    checkout, half = Path(job.reference.checkout), job.reference.half
    batches = PairDataset(frames, config)
    return ReferenceMethod(checkout, half, job.reference.scale_factor, config, batches)


def plan_steps(method: Method, seconds: float) -> int:
    """Measure how many steps of a method fit into a duration, which its learning rate depends on."""
    times = []
    for number in range(1, PACE_STEPS + 1):
        start = time.perf_counter()
        method.step(number)
        times.append(time.perf_counter() - start)
    return max(1, round(seconds / float(np.median(times))))


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
