"""The pinned protocol on the held-out people: what a model or another method's videos come to.

Three tasks: to reconstruct a clip from its first frame, to re-enact one person by another, and to enlarge.
Each method is scored by the same code beside the same baselines; what is left behind, `record` says.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from faceanim.config import EvaluateConfig
from faceanim.errors import FaceanimError
from faceanim.evaluation import record
from faceanim.evaluation.candidates import Candidate, ModelCandidate, VideoCandidate
from faceanim.evaluation.catalog import METRIC_NAMES, Task
from faceanim.evaluation.figures import figures, write_clips_csv, write_figures_csv
from faceanim.evaluation.instruments import instruments
from faceanim.evaluation.scoring import Columns, ItemScorer
from faceanim.evaluation.shown import (
    MAIN,
    everyone_first,
    write_demonstration,
    write_pictures,
    write_videos,
)
from faceanim.evaluation.test_set import Item, held_out_clips, items, read_frames
from faceanim.evaluation.writing import (
    frame_table,
    least_like_source,
    write_check,
    write_measured_with,
    write_test_set,
)
from faceanim.inference import Animator
from faceanim.progress import OnProgress
from faceanim.schemas import SCORES
from faceanim.tables import Row, write_table

BESIDE = ("psnr", "ssim", "l1", "akd", "csim")
"""What reports/metrics.json says of the methods beside a task's main one; the tables have the rest."""


def evaluate(
    config: EvaluateConfig, crops: Path, landmarks: Path, models: Path, out: Path, on_progress: OnProgress
) -> dict[str, Any]:
    """Score a model on the test split.

    Args:
        config: how many frames at a time, pairs and pictures.
        crops: crops.parquet.
        landmarks: folder of the landmarks tables.
        models: folder with `animation` and `super_resolution`.
        out: folder for what `record` lists.
        on_progress: told the number of clips done and of all.

    Returns:
        The metrics, nested: by task those of its main method, and in it by name those of the others.

    Raises:
        FaceanimError: no test clip, no model, or one that makes frames of another size than the crops.
    """
    animator = Animator.load(models)
    candidate = ModelCandidate(animator)
    todo = items(held_out_clips(crops), config.pairs)
    write_test_set(todo, candidate, out)
    scores = score_all(config, todo, candidate, landmarks, out, on_progress)
    reconstructions = [item for item in todo if item.task == Task.RECONSTRUCTION]
    write_check(animator, reconstructions[0], out / record.CHECK)
    shown = everyone_first(reconstructions, config.pictures)
    write_pictures(animator, shown, least_like_source(out / record.FRAMES), out / record.PICTURES)
    return nested(scores)


def videos_to_score(
    config: EvaluateConfig, crops: Path, videos: Path, size: int, out: Path
) -> tuple[list[Item], VideoCandidate]:
    """What another method is to be scored on by its videos, for `score_all`.

    A task is scored if there is a video of it; then each of its items must have one. The test set is written
    to `out` at once, so that what the figures can be compared with is known before the work.

    Args:
        config: says how many pairs there are.
        crops: crops.parquet.
        videos: a folder of them, as `VideoCandidate` wants them.
        size: side at which they are scored, in pixels.
        out: the evaluation's folder.

    Raises:
        FaceanimError: no videos, or no test clip.
    """
    if not videos.is_dir():
        raise FaceanimError(f"there is no folder {videos}")
    rows = held_out_clips(crops)
    made = {path.stem for path in videos.iterdir()}
    asked = [item for item in items(rows, config.pairs) if item.task != Task.SUPER_RESOLUTION]
    tasks = {item.task for item in asked if item.item_id in made}
    if not tasks:
        raise FaceanimError(
            f"{videos} has no video of a test clip; the first is expected as {asked[0].item_id}.<any suffix>"
        )
    side = read_frames(rows[0], slice(1)).shape[1]
    todo = [item for item in asked if item.task in tasks]
    candidate = VideoCandidate(videos, size, side)
    write_test_set(asked, candidate, out)
    return todo, candidate


def score_all(
    config: EvaluateConfig,
    todo: Sequence[Item],
    candidate: Candidate,
    landmarks: Path,
    out: Path,
    on_progress: OnProgress,
) -> list[Row]:
    """Score a candidate and the baselines on all items, write it down, and return the rows of SCORES."""
    scores: list[Row] = []
    with instruments(config.fetch) as tools, frame_table(out / record.FRAMES) as write:
        write_measured_with(tools, out)
        for done, item in enumerate(todo):
            on_progress(done, len(todo))
            found = ItemScorer(item, candidate, landmarks, tools).score(config.batch_size)
            for method, columns in found.items():
                write(item, method, columns)
                scores.append(score_row(item, method, columns))
    write_table(scores, SCORES, out / record.SCORES)
    write_figures_csv(figures(scores), out / record.FIGURES)
    write_clips_csv(scores, out / record.CLIP_FIGURES)
    write_videos(todo, scores, candidate, out)
    if reconstructions := [item for item in todo if item.task == Task.RECONSTRUCTION]:
        write_demonstration(reconstructions[0], candidate, out / record.TRAPS)
    on_progress(len(todo), len(todo))
    return scores


def score_row(item: Item, method: str, columns: Columns) -> Row:
    """A row of SCORES: the mean over the frames that have a value."""
    known = {name: columns[name][~np.isnan(columns[name])] for name in METRIC_NAMES}
    means = {name: float(values.mean()) if len(values) else None for name, values in known.items()}
    return {
        "task": item.task,
        "method": method,
        "item_id": item.item_id,
        "person_id": item.driving["person_id"],
        "frames": item.frames,
    } | means


def nested(scores: Sequence[Row]) -> dict[str, Any]:
    """The metrics as reports/metrics.json holds them, with the counts that they stand on."""
    metrics: dict[str, Any] = {}
    for figure in figures(scores):
        place = metrics.setdefault(figure.task, {})
        if figure.method != MAIN[Task(figure.task)]:
            if figure.metric not in BESIDE:
                continue
            place = place.setdefault(figure.method, {})
        place[figure.metric] = figure.interval.mean
    for task, figures_of_task in metrics.items():
        rows = [row for row in scores if row["task"] == task and row["method"] == MAIN[Task(task)]]
        figures_of_task |= {
            "clips": len(rows),
            "frames": sum(row["frames"] for row in rows),
            "people": len({row["person_id"] for row in rows}),
        }
    return metrics
