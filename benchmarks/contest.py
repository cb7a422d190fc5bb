"""Trainings of equal length, one after the other, and baselines: a table of scores, and comparisons."""

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

from benchmarks.clips import BASELINES, Clip, read_clips, thin_clip
from benchmarks.common import add_clips_option, create_parser, set_cpu_threads
from benchmarks.real_crops import list_clips, make_crops, make_landmarks, make_people
from benchmarks.scoring import Scores, average_clips, find_faces, score_clips
from benchmarks.trial import Job
from faceanim.config import TrainAnimationConfig, load_params

SIZE = 64
"""Side of the frames, in pixels."""
PARAMS = load_params(Path("profiles/sample.yaml"))
SAMPLE: TrainAnimationConfig = PARAMS.train_animation
REAL_PAIRS = {
    "rendered_prob": 0.0,
    "losses": SAMPLE.losses.model_copy(update={"flow": 0.0, "visibility": 0.0}),
}
"""Changes to the profile `sample` that make every pair a real one."""
DEFAULT: TrainAnimationConfig = SAMPLE.model_copy(update=REAL_PAIRS)
SPLITS = ("train", "test")
"""Split on which to train, and split on which to score."""
OURS = "ours"
"""Name of the row of the profile `sample`, without rendered pairs."""
COLUMNS = {
    "PSNR, dB": ("psnr", 2),
    "SSIM": ("ssim", 3),
    "MS-SSIM": ("ms_ssim", 3),
    "L1": ("l1", 4),
    "AKD, px": ("akd", 2),
    "CSIM": ("csim", 3),
    "eyes": ("eyes", 4),
    "mouth": ("mouth", 4),
    "mouth, dB": ("psnr_mouth", 2),
    "eyes, dB": ("psnr_eyes", 2),
    "disoccluded, dB": ("psnr_disoccluded", 2),
    "on its warp, dB": ("psnr_gain", 2),
    "in the mouth": ("psnr_mouth_gain", 2),
    "disoccluded": ("psnr_disoccluded_gain", 2),
    "worst clip": ("worst_gain", 2),
    "missed": ("missed", 0),
    "steps": ("steps", 0),
}
"""Score and number of decimals of each column, by title."""

Results = dict[str, list[Scores]]
"""Scores of each row, one for each seed, empty if the training failed; a baseline has only one."""


def create_contest_parser(description: str | None) -> argparse.ArgumentParser:
    """Create a parser with the options of every contest."""
    parser = create_parser(description)
    add_clips_option(parser, None)
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="Training time of each row and seed, in minutes."
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each training.")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="Score every N-th driving frame.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="Seeds of each row.")
    parser.add_argument(
        "--data", type=Path, help="Folder with crops.parquet and landmarks; by default, it is created anew."
    )
    parser.add_argument(
        "--few", action="store_true", help="The clips alone: ten people to train on, nine to score on."
    )
    parser.add_argument("--out", type=Path, help="Output folder of weights, scores of each clip, and images.")
    return parser


def make_job(name: str, config: TrainAnimationConfig) -> Job:
    """Create a training of faceanim; the contest sets the remaining fields."""
    return Job(
        name=name,
        seconds=0.0,
        threads=1,
        every=1,
        data="",
        out=None,
        splits=SPLITS,
        config=config,
        reference=None,
    )


def run_contest(jobs: Sequence[Job], args: argparse.Namespace, splits: tuple[str, str] = SPLITS) -> Results:
    """Score the baselines, train and score all jobs for each seed, and print the table.

    Args:
        jobs: the trainings, one per row.
        args: options of `create_contest_parser`.
        splits: see `Job`.
    """
    set_cpu_threads(args.threads)
    with open_data(args.data, list_clips() if args.few else args.clips) as data:
        clips = [thin_clip(clip, args.every) for clip in read_clips(data, splits[1], SIZE)]
        print(describe_contest(clips, args), flush=True)
        faces = [find_faces(clip.frames[1:]) for clip in clips]
        results = {
            name: [average_clips(score_clips(clips, faces, animate))] for name, animate in BASELINES.items()
        }
        print("\n".join(format_head(results)), flush=True)
        settings = {
            "seconds": args.minutes * 60,
            "threads": args.threads,
            "every": args.every,
            "data": str(data),
            "splits": splits,
        }
        for seed in args.seeds:
            for job in jobs:
                out = str(args.out / f"{job.name}-{seed}") if args.out else None
                config = job.config.model_copy(update={"seed": seed})
                scores = run_job(job.model_copy(update=settings | {"config": config, "out": out}))
                results.setdefault(job.name, []).append(scores)
                print(format_row(job.name, str(seed), scores), flush=True)
    for name, seeds in results.items():
        if len(seeds) > 1:
            print(format_row(name, "mean", average_seeds(seeds)))
    return results


@contextmanager
def open_data(folder: Path | None, clips: Sequence[str] | None) -> Iterator[Path]:
    """Provide a folder of crops and landmarks, by default those of all real people, cut as by `sample`."""
    if folder:
        yield folder
        return
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        if clips:
            make_crops(clips, temporary, PARAMS)
            make_landmarks(temporary, PARAMS)
        else:
            make_people(temporary, PARAMS)
        yield temporary


def describe_contest(clips: Sequence[Clip], args: argparse.Namespace) -> str:
    """Describe the task, the data and the scores of the table."""
    frames = sum(len(clip.frames) - 1 for clip in clips)
    people = len({clip.row["person_id"] for clip in clips})
    return (
        f"Self-reconstruction at {SIZE}x{SIZE} of {len(clips)} held-out clips of {people} people\n"
        f"({frames:,} driving frames, absolute keypoints), after {args.minutes:g} minutes of training,\n"
        f"each on {args.threads} threads, from random weights, on these crops unless a row says otherwise.\n"
        "  AKD:         distance of dlib's landmarks, in pixels at 256\n"
        "  eyes, mouth: error of their height over width; and PSNR inside them\n"
        "  on its warp: gain of the prediction on its own warped source, over all, and in regions\n"
        "  missed:      frames in which dlib finds no face, but finds one in the driving frame"
    )


def run_job(job: Job) -> Scores:
    """Run a job in a separate process; return no scores if it fails."""
    command = [sys.executable, "-m", "benchmarks.trial", job.model_dump_json()]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if process.returncode:
        print(f"{job.name}, seed {job.config.seed}: failed", file=sys.stderr)
        return {}
    scores: Scores = json.loads(process.stdout.splitlines()[-1])
    return scores


def format_head(baselines: Results) -> Iterator[str]:
    """Yield the first lines of the table in Markdown: titles and baselines; all others follow one by one."""
    yield f"| | seed | {' | '.join(COLUMNS)} |"
    yield "|---" * (len(COLUMNS) + 2) + "|"
    for name, seeds in baselines.items():
        yield format_row(name, "", seeds[0])


def average_seeds(seeds: Sequence[Scores]) -> Scores:
    """Average the scores of a row over its seeds."""
    return {key: float(np.mean([get_score(scores, key) for scores in seeds])) for key, _ in COLUMNS.values()}


def format_row(name: str, seed: str, scores: Mapping[str, float]) -> str:
    """Format a line of the table; missing scores are left empty."""
    values = [(get_score(scores, key), digits) for key, digits in COLUMNS.values()]
    cells = ["" if math.isnan(value) else f"{value:,.{digits}f}" for value, digits in values]
    return f"| {' | '.join((name, seed, *cells))} |"


def get_score(scores: Mapping[str, float], key: str) -> float:
    """Return a score, or NaN if it is missing."""
    return scores.get(key, math.nan)


def min_difference(results: Results, key: str, row: str, other: str) -> float:
    """Return by how much a row's score exceeds that of another row, for the worst seed."""
    return worst_seed(results, key, row, other, lambda a, b: a - b)


def min_reduction(results: Results, key: str, row: str, other: str) -> float:
    """Return how many times smaller a row's score is than that of another row, for the worst seed."""
    return worst_seed(results, key, row, other, lambda a, b: b / a)


def worst_seed(
    results: Results, key: str, row: str, other: str, compare: Callable[[float, float], float]
) -> float:
    """Return the least of a comparison over the seeds, NaN if a training failed; baselines have no seeds."""
    others = results[other] * (len(results[row]) if other in BASELINES else 1)
    pairs = zip(results[row], others, strict=True)
    return float(np.min([compare(get_score(a, key), get_score(b, key)) for a, b in pairs]))
