"""Sensitivity of each metric to predictions that are degraded in one known way.

    python -m benchmarks.sensitivity

The driving videos of a few real people are degraded in different ways, and scored as the videos of another
method.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common import (
    add_clips_option,
    add_profile_option,
    create_parser,
    load_profile,
    print_summary,
    use_shared_weights,
)
from benchmarks.real_crops import ignore_progress, make_crops, make_landmarks
from faceanim.config import EvaluateConfig
from faceanim.evaluation.evaluate import collect_predictions, score_items
from faceanim.evaluation.protocol import METRICS, MethodName, Task
from faceanim.evaluation.statistics import summarize_scores
from faceanim.evaluation.test_set import build_items, load_test_clips, read_clip_frames
from faceanim.evaluation.test_set_export import write_ffv1
from faceanim.media.frames import Frames

CLIPS = (
    "grid_bbaf2n",
    "grid_brbk7n",
    "grid_lbbc2a",
    "grid_lwbsza",
    "grid_sbia1a",
    "grid_sbwe5n",
    "grid_swiz3n",
)
"""Clips of seven people of the GRID corpus, 75 frames each. The first is not held out, because the training
split must not be empty."""
CONFIG = EvaluateConfig(batch_size=16, pictures=1, pairs=0, fetch=False)

Degrade = Callable[[Frames, Frames], Frames]
"""Callable that maps the driving frames of a clip (N, S, S, 3) and those of another person to N frames."""
Means = dict[str, dict[str, float]]
"""Mean of each available metric over all test clips, by name of the degradation and of the metric."""


def keep(frames: Frames, other: Frames) -> Frames:
    """Return the driving frames themselves."""
    return frames


def shuffle(frames: Frames, other: Frames) -> Frames:
    """Return the driving frames in a random order."""
    return frames[np.random.default_rng(0).permutation(len(frames))]


def blur(frames: Frames, other: Frames) -> Frames:
    """Blur by a Gaussian whose standard deviation is a fiftieth of the side."""
    return np.stack([cv2.GaussianBlur(frame, (0, 0), frame.shape[0] / 50) for frame in frames])


def shift(frames: Frames, other: Frames) -> Frames:
    """Shift to the right by a twenty-fifth of the side, replicating the border."""
    pixels = frames.shape[2] // 25
    return np.pad(frames, ((0, 0), (0, 0), (pixels, 0), (0, 0)), mode="edge")[:, :, :-pixels]


def replace_person(frames: Frames, other: Frames) -> Frames:
    """Return the frames of the other person, played forward and backward."""
    ping_pong = np.concatenate((other, other[::-1]))
    return ping_pong[np.arange(len(frames)) % len(ping_pong)]


def freeze(frames: Frames, other: Frames) -> Frames:
    """Repeat the first driving frame."""
    return np.repeat(frames[:1], len(frames), axis=0)


def flicker(frames: Frames, other: Frames) -> Frames:
    """Brighten and darken alternate frames by 8 levels of 255."""
    signs = np.where(np.arange(len(frames)) % 2, 8, -8)[:, None, None, None]
    return np.clip(frames.astype(int) + signs, 0, 255).astype(np.uint8)


UNCHANGED = "the driving video"
DEGRADATIONS: dict[str, tuple[Degrade, tuple[str, ...]]] = {
    UNCHANGED: (keep, ()),
    "shuffled frames": (shuffle, ("flicker", "akd", "pose", "mouth")),
    "blurred": (blur, ("ssim", "ms_ssim", "psnr")),
    "shifted": (shift, ("akd", "l1", "psnr")),
    "another person": (replace_person, ("csim", "aed", "akd")),
    "frozen": (freeze, ("flicker", "akd", "pose", "eyes", "mouth")),
    "flickering": (flicker, ("flicker", "l1")),
}
"""Degradations of the driving video by name, each with the metrics that are meant to detect it."""
DEGRADED = [name for name in DEGRADATIONS if name != UNCHANGED]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__)
    add_clips_option(parser, CLIPS)
    add_profile_option(parser, "voxceleb")
    parser.add_argument(
        "--degradations",
        nargs="+",
        choices=DEGRADED,
        default=DEGRADED,
        metavar="NAME",
        help="Degradations to score (default: all).",
    )
    args = parser.parse_args(arguments)
    use_shared_weights()
    held_out = {"test_people": args.clips[1:]}
    profile = load_profile(args.profile)
    params = profile.model_copy(update={"index": profile.index.model_copy(update=held_out)})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_crops(args.clips, folder, params)
        make_landmarks(folder, params)
        crops, landmarks = folder / "crops.parquet", folder / "landmarks"
        means = score_degradations(crops, landmarks, params.crop.size, folder / "videos", args.degradations)
    print_table(means)
    print_summary({f"{name} seen": detected_fraction(means, name) for name in args.degradations})


def score_degradations(
    crops: Path, landmarks: Path, size: int, folder: Path, names: Sequence[str] | None = None
) -> Means:
    """Score the driving videos, unchanged and degraded, as predictions.

    Args:
        crops: crops.parquet.
        landmarks: folder of the landmarks tables.
        size: side at which videos are scored, in pixels.
        folder: folder to which the videos are written.
        names: names of the degradations; all by default.
    """
    rows = load_test_clips(crops)
    reconstructions = [item for item in build_items(rows, 0) if item.task == Task.RECONSTRUCTION]
    means: Means = {}
    for name in (UNCHANGED, *(names or DEGRADED)):
        degrade, _ = DEGRADATIONS[name]
        videos = folder / name
        for item in reconstructions:
            other = next(row for row in rows if row["person_id"] != item.driving["person_id"])
            frames = degrade(
                read_clip_frames(item.driving, slice(1, None)), read_clip_frames(other, slice(1, None))
            )
            write_ffv1(videos / f"{item.item_id}.mkv", frames, Fraction(25))
        out = folder / f"scores of {name}"
        items, method = collect_predictions(CONFIG, crops, videos, size, out, ignore_progress)
        scores = score_items(CONFIG, items, method, landmarks, out, ignore_progress)
        means[name] = {
            summary.metric: summary.interval.mean
            for summary in summarize_scores(scores)
            if summary.method == MethodName.PREDICTION
        }
    return means


def detected_fraction(means: Mapping[str, Mapping[str, float]], name: str) -> float:
    """Compute the fraction of a degradation's metrics that score it worse than the unchanged video."""
    meant = DEGRADATIONS[name][1]
    return float(np.mean([is_worse(metric, means[name], means[UNCHANGED]) for metric in meant]))


def is_worse(metric: str, degraded: Mapping[str, float], unchanged: Mapping[str, float]) -> bool:
    """Check whether a metric is worse for the degraded than for the unchanged video."""
    (better,) = (known.better for known in METRICS if known.name == metric)
    if better == "zero":
        return abs(degraded[metric]) > abs(unchanged[metric])
    if better == "higher":
        return degraded[metric] < unchanged[metric]
    return degraded[metric] > unchanged[metric]


def print_table(means: Mapping[str, Mapping[str, float]]) -> None:
    """Print a table in Markdown, in bold the metrics that are meant to detect a degradation."""
    metrics = [metric for metric in METRICS if metric.name in means[UNCHANGED]]
    print("| |", " | ".join(metric.label for metric in metrics), "|")
    print("|---|" + "---|" * len(metrics))
    for name, values in means.items():
        cells = []
        for metric in metrics:
            cell = f"{values[metric.name]:.{metric.digits}f}" if metric.name in values else "-"
            cells.append(f"**{cell}**" if metric.name in DEGRADATIONS[name][1] else cell)
        print(f"| {name} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
