"""Trainings of the same length, one after the other, beside the baselines: one table, and its comparisons."""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.common import cpu_threads, shared
from benchmarks.real_crops import make_crops, make_landmarks
from benchmarks.scoring import BASELINES, Clip, Figures, find_faces, mean, read_clips, score, thinned
from benchmarks.trial import Job, splits
from faceanim.config import TrainAnimationConfig, load_params

SIZE = 64
PARAMS = load_params(Path("profiles/sample.yaml"))
DEFAULT: TrainAnimationConfig = PARAMS.train_animation
OURS = "ours"
COLUMNS = {
    "PSNR, dB": ("psnr", 2),
    "SSIM": ("ssim", 3),
    "L1": ("l1", 4),
    "AKD, px": ("akd", 2),
    "missed": ("missed", 0),
    "landmarks, %": ("landmark_percent", 2),
    "steps": ("steps", 0),
    "samples": ("samples", 0),
}
"""By title: the figure, and its decimals."""

Results = dict[str, list[Figures]]
"""By row: one for each seed, empty where the training failed; a baseline has one."""


def arguments(about: str | None) -> argparse.ArgumentParser:
    """The arguments that every contest has."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, for each row and seed")
    parser.add_argument("--threads", type=int, default=2, help="that each row computes on")
    parser.add_argument("--every", type=int, default=1, help="one driving frame in so many is scored")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--data", type=Path, help="folder with crops.parquet and landmarks, else made anew")
    parser.add_argument("--out", type=Path, help="folder for weights, each clip's figures, and pictures")
    return parser


def our_job(name: str, config: TrainAnimationConfig) -> Job:
    """A training of ours; the contest fills in the rest."""
    return Job(
        name=name,
        seconds=0.0,
        threads=1,
        every=1,
        data="",
        out=None,
        swapped=False,
        config=config,
        reference=None,
    )


def contest(jobs: Sequence[Job], given: argparse.Namespace, swapped: bool = False) -> Results:
    """Score the baselines and, for each seed, do the jobs; print the table. For `swapped` see `Job`."""
    cpu_threads(given.threads)
    with data_folder(given.data) as data:
        clips = [thinned(clip, given.every) for clip in read_clips(data, splits(swapped)[1], SIZE)]
        print(describe(clips, given), flush=True)
        faces = [find_faces(clip.frames[1:]) for clip in clips]
        results = {name: [mean(score(clips, faces, animate))] for name, animate in BASELINES.items()}
        print("\n".join(head(results)), flush=True)
        terms = {
            "seconds": given.minutes * 60,
            "threads": given.threads,
            "every": given.every,
            "data": str(data),
            "swapped": swapped,
        }
        for seed in given.seeds:
            for job in jobs:
                out = str(given.out / f"{job.name}-{seed}") if given.out else None
                config = job.config.model_copy(update={"seed": seed})
                changed = job.model_copy(update=terms | {"config": config, "out": out})
                figures = run(changed)
                results.setdefault(job.name, []).append(figures)
                print(line(job.name, str(seed), figures), flush=True)
    for name, each in results.items():
        if len(each) > 1:
            print(line(name, "mean", mean_of(each)))
    return results


@contextmanager
def data_folder(given: Path | None) -> Iterator[Path]:
    """Crops and landmarks: those given, or made from all the real clips as the sample's profile says."""
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_crops(sorted(path.name for path in shared("faces", "clips").iterdir()), folder, PARAMS)
        make_landmarks(folder, PARAMS)
        yield folder


def describe(clips: Sequence[Clip], given: argparse.Namespace) -> str:
    """What is compared, on what."""
    frames = sum(len(clip.frames) - 1 for clip in clips)
    people = len({clip.row["person_id"] for clip in clips})
    return (
        f"Self-reconstruction at {SIZE}x{SIZE} of {len(clips)} held-out clips of {people} people\n"
        f"({frames:,} driving frames, absolute keypoints), after {given.minutes:g} minutes of training,\n"
        f"each on {given.threads} threads and the same pairs of real frames, from random weights.\n"
        "  AKD:       distance of dlib's landmarks, in pixels at 256\n"
        "  missed:    frames in which it finds no face, but one in the driving frame\n"
        "  landmarks: how far off a linear regression from the keypoints tells them, in percent of the\n"
        "             distance between the eyes"
    )


def run(job: Job) -> Figures:
    """Do a job in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.trial", job.model_dump_json()]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"{job.name}, seed {job.config.seed}: failed", file=sys.stderr)
        return {}
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def head(baselines: Results) -> Iterator[str]:
    """The first lines of the table, in Markdown; the others come as they are known, and their means."""
    yield f"| | seed | {' | '.join(COLUMNS)} |"
    yield "|---" * (len(COLUMNS) + 2) + "|"
    for name, figures in baselines.items():
        yield line(name, "", figures[0])


def mean_of(seeds: Sequence[Figures]) -> Figures:
    """The mean of a row over its seeds."""
    return {key: float(np.mean([of(each, key) for each in seeds])) for key, _ in COLUMNS.values()}


def line(name: str, seed: str, figures: Mapping[str, float]) -> str:
    """One line of the table; what a row does not have is left empty."""
    values = [(of(figures, key), digits) for key, digits in COLUMNS.values()]
    cells = ["" if math.isnan(value) else f"{value:,.{digits}f}" for value, digits in values]
    return f"| {' | '.join((name, seed, *cells))} |"


def of(figures: Mapping[str, float], key: str) -> float:
    """A figure, NaN where there is none."""
    return figures.get(key, math.nan)


def more(results: Results, key: str, row: str, other: str) -> float:
    """By how much a row's figure exceeds another's, at the worst of the seeds."""
    return worst(results, key, row, other, lambda a, b: a - b)


def times_less(results: Results, key: str, row: str, other: str) -> float:
    """How many times smaller a row's figure is than another's, at the worst of the seeds."""
    return worst(results, key, row, other, lambda a, b: b / a)


def worst(
    results: Results, key: str, row: str, other: str, compare: Callable[[float, float], float]
) -> float:
    """The least of a comparison over the seeds, NaN where a training failed; a baseline knows no seeds."""
    others = results[other] * (len(results[row]) if other in BASELINES else 1)
    return float(np.min([compare(of(a, key), of(b, key)) for a, b in zip(results[row], others, strict=True)]))
