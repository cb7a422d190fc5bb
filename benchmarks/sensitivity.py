"""What each metric sees: predictions that are wrong in one known way, scored as another method's videos.

    python -m benchmarks.sensitivity

The driving videos of a few real people are spoilt in one way after the other, and handed in as predictions.
"""

import tempfile
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common import finish, use_shared_weights
from benchmarks.real_crops import make_crops, make_landmarks
from faceanim.config import EvaluateConfig, load_params
from faceanim.evaluation.evaluate import collect_predictions, score_items
from faceanim.evaluation.protocol import METRICS, MethodName, Task
from faceanim.evaluation.statistics import summarize_scores
from faceanim.evaluation.test_set import build_items, load_test_clips, read_clip_frames
from faceanim.evaluation.test_set_export import write_ffv1
from faceanim.media.frames import Frames

PARAMS = load_params(Path("profiles/voxceleb.yaml"))
CLIPS = (
    "grid_bbaf2n",
    "grid_brbk7n",
    "grid_lbbc2a",
    "grid_lwbsza",
    "grid_sbia1a",
    "grid_sbwe5n",
    "grid_swiz3n",
)
"""Seven people of the GRID corpus, 75 frames each; the first is left to train on, as someone has to be."""
CONFIG = EvaluateConfig(batch_size=16, pictures=1, pairs=0, fetch=False)

Spoil = Callable[[Frames, Frames], Frames]
"""A clip's driving frames (N, S, S, 3) and another person's, to N frames."""


def shuffled(frames: Frames, other: Frames) -> Frames:
    """The right frames, at the wrong times."""
    return frames[np.random.default_rng(0).permutation(len(frames))]


def blurred(frames: Frames, other: Frames) -> Frames:
    """Under a Gaussian as wide as a fiftieth of the frame."""
    return np.stack([cv2.GaussianBlur(frame, (0, 0), frame.shape[0] / 50) for frame in frames])


def shifted(frames: Frames, other: Frames) -> Frames:
    """To the right by a twenty-fifth of the frame, the border repeated."""
    by = frames.shape[2] // 25
    return np.pad(frames, ((0, 0), (0, 0), (by, 0), (0, 0)), mode="edge")[:, :, :-by]


def wrong_person(frames: Frames, other: Frames) -> Frames:
    """Somebody else, forwards and backwards for as long as it lasts."""
    there_and_back = np.concatenate((other, other[::-1]))
    return there_and_back[np.arange(len(frames)) % len(there_and_back)]


def frozen(frames: Frames, other: Frames) -> Frames:
    """The first driving frame throughout."""
    return np.repeat(frames[:1], len(frames), axis=0)


def flickering(frames: Frames, other: Frames) -> Frames:
    """Brighter and darker by 8 levels in turn."""
    signs = np.where(np.arange(len(frames)) % 2, 8, -8)[:, None, None, None]
    return np.clip(frames.astype(int) + signs, 0, 255).astype(np.uint8)


def copied(frames: Frames, other: Frames) -> Frames:
    """The driving video itself."""
    return frames


PERFECT = "the driving video"
SPOILT: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    PERFECT: (copied, ()),
    "shuffled frames": (shuffled, ("flicker", "akd", "pose", "mouth")),
    "blurred": (blurred, ("ssim", "ms_ssim", "psnr")),
    "shifted": (shifted, ("akd", "l1", "psnr")),
    "another person": (wrong_person, ("csim", "aed", "akd")),
    "frozen": (frozen, ("flicker", "akd", "pose", "eyes", "mouth")),
    "flickering": (flickering, ("flicker", "l1")),
}
"""By name: what is done to the driving video, and the metrics that are meant to see it."""


def score(crops: Path, landmarks_folder: Path, size: int, folder: Path) -> dict[str, dict[str, float]]:
    """By way of spoiling, the mean of each metric that could be told, over all test clips.

    Args:
        crops: crops.parquet.
        landmarks_folder: of the landmarks tables.
        size: side at which videos are scored, in pixels.
        folder: for the videos.
    """
    rows = load_test_clips(crops)
    todo = [item for item in build_items(rows, 0) if item.task == Task.RECONSTRUCTION]
    found = {}
    for name, (spoil, _) in SPOILT.items():
        videos = folder / name
        for item in todo:
            other = next(row for row in rows if row["person_id"] != item.driving["person_id"])
            frames = spoil(
                read_clip_frames(item.driving, slice(1, None)), read_clip_frames(other, slice(1, None))
            )
            write_ffv1(videos / f"{item.item_id}.mkv", frames, Fraction(25))
        out = folder / f"scores of {name}"
        asked, candidate = collect_predictions(CONFIG, crops, videos, size, out)
        scores = score_items(CONFIG, asked, candidate, landmarks_folder, out, lambda done, total: None)
        found[name] = {
            figure.metric: figure.interval.mean
            for figure in summarize_scores(scores)
            if figure.method == MethodName.PREDICTION
        }
    return found


def main() -> None:
    """Measure and print."""
    use_shared_weights()
    held_out = {"test_people": CLIPS[1:]}
    params = PARAMS.model_copy(update={"index": PARAMS.index.model_copy(update=held_out)})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_crops(CLIPS, folder, params)
        make_landmarks(folder, params)
        found = score(folder / "crops.parquet", folder / "landmarks", params.crop.size, folder / "videos")
    show(found)
    finish({f"{name} seen": seen_by(found, name) for name, (_, seen) in SPOILT.items() if seen})


def seen_by(found: Mapping[str, Mapping[str, float]], name: str) -> float:
    """The share of the metrics meant to see it by which a spoilt video is worse than the driving one."""
    meant = SPOILT[name][1]
    return float(np.mean([worse(metric, found[name], found[PERFECT]) for metric in meant]))


def worse(metric: str, spoilt: Mapping[str, float], perfect: Mapping[str, float]) -> bool:
    """Whether a metric is worse for the one than for the other."""
    (better,) = (known.better for known in METRICS if known.name == metric)
    if better == "zero":
        return abs(spoilt[metric]) > abs(perfect[metric])
    return spoilt[metric] < perfect[metric] if better == "higher" else spoilt[metric] > perfect[metric]


def show(found: Mapping[str, Mapping[str, float]]) -> None:
    """Print a Markdown table, the metrics that were meant to see it in bold."""
    told = [metric for metric in METRICS if metric.name in found[PERFECT]]
    print("| |", " | ".join(metric.label for metric in told), "|")
    print("|---|" + "---|" * len(told))
    for name, values in found.items():
        cells = []
        for metric in told:
            cell = f"{values[metric.name]:.{metric.digits}f}" if metric.name in values else "-"
            cells.append(f"**{cell}**" if metric.name in SPOILT[name][1] else cell)
        print(f"| {name} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
