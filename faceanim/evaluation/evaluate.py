"""Self-reconstruction of the held-out people by the pinned protocol, beside both baselines.

The source is frame 0 of a clip, the driving frames are its others, keypoints are absolute. Predictions are
scored at the animation size, and, enlarged, against the crops as stored.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from faceanim.config import EvaluateConfig
from faceanim.data.clips import read_frame
from faceanim.data.items import OnProgress, file_sha256
from faceanim.errors import FaceanimError
from faceanim.evaluation.baselines import copy_source, landmark_warp
from faceanim.evaluation.metrics import METRICS, Figures, MeanOfClips, frame_metrics
from faceanim.evaluation.pictures import heat, write_grid
from faceanim.faces.landmark_tables import load_landmarks
from faceanim.inference import Animator, Frames, Source, resize, to_float, to_uint8
from faceanim.models.super_resolution import enlarge
from faceanim.schemas import CROPS, SCORES, TEST_SET, Status
from faceanim.tables import Row, atomic_path, read_rows, write_table

OURS = "reconstruction"
COPY = "reconstruction.copy_source"
WARP = "reconstruction.landmark_warp"
ENLARGED = "super_resolution"
BICUBIC = "super_resolution.bicubic"
METHODS = (OURS, COPY, WARP, ENLARGED, BICUBIC)

Scores = dict[str, dict[str, Tensor]]
"""By method and metric, one value a driving frame."""


@dataclass(frozen=True)
class Scored:
    """What is kept of a scored clip.

    Attributes:
        row: its row of crops.parquet.
        figures: by method, the means over its driving frames.
        farthest: the frame least like the source.
    """

    row: Row
    figures: dict[str, Figures]
    farthest: int


def evaluate(
    config: EvaluateConfig, crops: Path, landmarks: Path, models: Path, out: Path, on_progress: OnProgress
) -> dict[str, Any]:
    """Score a model on the test split.

    Args:
        config: batch size and number of pictures.
        crops: crops.parquet.
        landmarks: folder of the landmarks tables.
        models: folder with `animation` and `super_resolution`.
        out: folder for `clips.parquet` (the test set), `scores.parquet` and `psnr.csv` (each clip's figures)
            and `pictures.png`.
        on_progress: told the number of clips done and of all.

    Returns:
        The metrics, nested as METHODS name them.

    Raises:
        FaceanimError: no test clip, no model, or one that makes frames of another size than the crops.
    """
    animator = Animator.load(models)
    rows = test_rows(crops)
    means = {method: MeanOfClips() for method in METHODS}
    scored: list[Scored] = []
    missed = 0
    for done, row in enumerate(rows):
        on_progress(done, len(rows))
        points, detected = read_points(landmarks, row)
        missed += driving_frames(row) - int((detected[1:] & detected[0]).sum())
        scores = score_clip(animator, row, points, detected, config.batch_size)
        figures = {method: means[method].add(scores[method]) for method in METHODS}
        scored.append(Scored(row, figures, farthest=1 + int(scores[COPY]["psnr"].argmin())))
    on_progress(len(rows), len(rows))
    write_tables(scored, animator, out)
    write_grid(
        [pictures_of(animator, clip) for clip in choose(scored, config.pictures)], out / "pictures.png"
    )
    return nested(means, missed)


def test_rows(crops: Path) -> list[Row]:
    """The accepted clips of the test split that have a driving frame, by id.

    Raises:
        FaceanimError: there is none.
    """
    rows = [
        row
        for row in read_rows(crops, CROPS)
        if row["split"] == "test" and row["status"] == Status.OK and driving_frames(row)
    ]
    if not rows:
        raise FaceanimError(f"{crops} has no accepted clip in the test split; hold out more people (index)")
    return sorted(rows, key=lambda row: str(row["crop_id"]))


def driving_frames(row: Row) -> int:
    """Frames of a clip but its first."""
    return len(row["frame_offsets"]) - 1


def read_frames(row: Row, frames: slice) -> Frames:
    """Some frames of a clip, (N, S, S, 3)."""
    places = zip(row["frame_offsets"][frames], row["frame_lengths"][frames], strict=True)
    return np.stack([read_frame(Path(row["path"]), *place) for place in places])


def read_points(folder: Path, row: Row) -> tuple[Tensor, Tensor]:
    """A clip's landmarks (N, P, 2) in [-1, 1], the ends being its outer edges, and where there are any (N,).

    Raises:
        FaceanimError: the folder has none of this clip.
    """
    found = load_landmarks(folder, row["video_id"]).get(row["crop_id"])
    if found is None or len(found[0]) != len(row["frame_offsets"]):
        raise FaceanimError(f"{folder} has no landmarks of {row['crop_id']}; run `dvc repro landmarks`")
    detected, points = found
    side = read_frames(row, slice(1)).shape[1]
    # A pixel's centre lies half a pixel from its edge.
    return torch.from_numpy((2 * points + 1) / side - 1), torch.from_numpy(detected)


@torch.inference_mode()
def score_clip(animator: Animator, row: Row, points: Tensor, detected: Tensor, batch_size: int) -> Scores:
    """Score every driving frame of a clip, a batch at a time.

    Args:
        animator: the model.
        row: the clip's row of crops.parquet.
        points: (N, P, 2), every frame's landmarks in [-1, 1]; see `landmark_warp`.
        detected: (N,), the frames that have landmarks.
        batch_size: frames in memory at a time.
    """
    first = to_float(read_frames(row, slice(1)))
    if first.shape[-1] != animator.output_size:
        raise FaceanimError(
            f"the crops are {first.shape[-1]} pixels wide and the model makes {animator.output_size}: "
            "bring both up to date with `dvc repro`"
        )
    source = animator.prepare(first)
    batches = []
    for start in range(1, 1 + driving_frames(row), batch_size):
        batch = slice(start, start + batch_size)
        warped = landmark_warp(
            source.image,
            torch.cat((points[:1], points[batch])),
            torch.cat((detected[:1], detected[batch])),
        )
        batches.append(score_batch(animator, source, to_float(read_frames(row, batch)), warped))
    return {
        method: {metric: torch.cat([batch[method][metric] for batch in batches]) for metric in METRICS}
        for method in METHODS
    }


def score_batch(animator: Animator, source: Source, crops: Tensor, warped: Tensor) -> Scores:
    """Score all methods on driving frames (B, 3, S, S) as stored; `warped` is the landmark warp's answer."""
    crops = crops.to(animator.device)
    driving = resize(crops, animator.size)
    prediction = animator.frames(source, driving)
    bicubic = enlarge(prediction, animator.output_size // animator.size).clamp(0, 1)
    answers = {
        OURS: (prediction, driving),
        COPY: (copy_source(source.image, len(driving)), driving),
        WARP: (warped, driving),
        ENLARGED: (animator.enlarge(prediction), crops),
        BICUBIC: (bicubic, crops),
    }
    return {method: frame_metrics(*answer) for method, answer in answers.items()}


def choose(scored: Sequence[Scored], count: int) -> list[Scored]:
    """The clips to show: everyone's first before anyone's second."""
    seen: Counter[str] = Counter()
    turns = []
    for clip in scored:
        person = str(clip.row["person_id"])
        turns.append((seen[person], person, clip))
        seen[person] += 1
    return [clip for _, _, clip in sorted(turns, key=lambda turn: turn[:2])[:count]]


def pictures_of(animator: Animator, clip: Scored) -> list[Frames]:
    """A row of the picture grid: the clip's first frame, the one least like it, and what was made of them."""
    source = read_frames(clip.row, slice(1))
    driving = read_frames(clip.row, slice(clip.farthest, clip.farthest + 1))
    animation = animator.animate(animator.prepare(to_float(source)), to_float(driving))
    enlarged = animator.enlarge(animation.prediction)
    warped, prediction, larger = map(to_uint8, (animation.warped, animation.prediction, enlarged))
    occlusion_map = heat(animation.occlusion_map[0, 0].cpu().numpy())
    return [source[0], driving[0], warped[0], occlusion_map, prediction[0], larger[0]]


def write_tables(scored: Sequence[Scored], animator: Animator, out: Path) -> None:
    """Write the test set, and each clip's figures for analysis and for DVC's plots."""
    test_set = [
        {**clip.row, "frames": driving_frames(clip.row), "sha256": file_sha256(Path(clip.row["path"]))}
        for clip in scored
    ]
    sizes = {"size": str(animator.size), "output_size": str(animator.output_size)}
    # Its hash says whether two models were scored alike, so nothing of the model but its sizes is in it.
    write_table(test_set, TEST_SET, out / "clips.parquet", sizes)
    rows = [
        {**clip.row, "frames": driving_frames(clip.row), "method": method, **clip.figures[method]}
        for clip in scored
        for method in METHODS
    ]
    write_table(rows, SCORES, out / "scores.parquet")
    with (
        atomic_path(out / "psnr.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("crop_id", "prediction", "copy_source", "landmark_warp"))
        for clip in scored:
            writer.writerow(
                (
                    clip.row["crop_id"],
                    *(f"{clip.figures[method]['psnr']:.4f}" for method in (OURS, COPY, WARP)),
                )
            )


def nested(means: dict[str, MeanOfClips], missed: int) -> dict[str, Any]:
    """The metrics as reports/metrics.json holds them, with the counts that they stand on."""
    metrics: dict[str, Any] = {}
    for method in METHODS:
        place = metrics
        for key in method.split("."):
            place = place.setdefault(key, {})
        place.update(means[method].mean())
    metrics[OURS] |= {"clips": means[OURS].clips, "frames": means[OURS].frames}
    metrics[OURS]["landmark_warp"]["frames_without_landmarks"] = missed
    return metrics
