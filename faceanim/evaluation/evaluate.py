"""The pinned protocol on the held-out people: what a model or another method's videos come to.

Three tasks: to reconstruct a clip from its first frame, to re-enact one person by another, and to enlarge.
Each method is scored by the same code beside the same baselines; what is left behind, `record` says.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from faceanim.config import EvaluateConfig
from faceanim.errors import FaceanimError
from faceanim.evaluation import protocol
from faceanim.evaluation.methods import Method, ModelMethod, VideoMethod
from faceanim.evaluation.protocol import FRAME_SCORES, METRIC_NAMES, PAIRS, SCORES, TEST_SET, MethodName, Task
from faceanim.evaluation.qualitative import (
    MAIN_METHOD,
    one_per_person,
    write_pitfall_example,
    write_ranked_videos,
    write_sample_grid,
)
from faceanim.evaluation.scorer import IDENTITY_STRIDE, Columns, ItemScorer, MetricModels, load_metric_models
from faceanim.evaluation.statistics import summarize_scores, write_clips_csv, write_summaries_csv
from faceanim.evaluation.test_set import TestItem, build_items, load_test_clips, read_clip_frames
from faceanim.inference.animator import Animator
from faceanim.media.tensors import to_float, to_uint8
from faceanim.progress import ProgressCallback
from faceanim.tables import Row, atomic_path, file_sha256, write_json, write_table

PROTOCOL_VERSION = "2"
"""Raise it when the same predictions would be scored otherwise than before."""
NUM_CHECK_FRAMES = 8
"""Of a clip, in the file by which a copy of the model is checked."""


def write_test_set(todo: Sequence[TestItem], candidate: Method, out: Path) -> None:
    """Write what the figures are of: the protocol, the clips with their hashes, and who drives whom.

    Two evaluations with the same test set write the same bytes, whatever they evaluate: of a candidate, only
    the sizes are in it.
    """
    write_json(
        {
            "version": PROTOCOL_VERSION,
            "size": candidate.size,
            "output_size": candidate.output_size,
            "identity_every": IDENTITY_STRIDE,
        },
        out / protocol.PROTOCOL_FILE,
    )
    clips = [
        {**item.driving, "frames": item.frames, "sha256": file_sha256(Path(item.driving["path"]))}
        for item in todo
        if item.task == Task.RECONSTRUCTION
    ]
    write_table(clips, TEST_SET, out / protocol.CLIPS_FILE)
    pairs = [
        {
            "pair_id": item.item_id,
            "source_crop_id": item.source["crop_id"],
            "driving_crop_id": item.driving["crop_id"],
        }
        for item in todo
        if item.task == Task.REENACTMENT
    ]
    write_table(pairs, PAIRS, out / protocol.PAIRS_FILE)


def write_metric_models(tools: MetricModels, out: Path) -> None:
    """Write which networks measured, and what was left out for want of one."""
    write_json({"networks": tools.networks, "left_out": tools.left_out}, out / protocol.MEASURED_WITH_FILE)


@contextmanager
def open_frame_table(path: Path) -> Iterator[Callable[[TestItem, str, Columns], None]]:
    """A table of FRAME_SCORES that is written item by item, whole or not at all: takes a method's columns."""
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, FRAME_SCORES) as writer:

        def write(item: TestItem, method: str, columns: Columns) -> None:
            count = item.frames
            names = {
                "task": str(item.task),
                "method": str(method),
                "item_id": item.item_id,
                "person_id": item.driving["person_id"],
            }
            arrays = [pa.repeat(value, count) for value in names.values()]
            arrays.append(pa.array(range(1, 1 + count), pa.int32()))
            arrays += [pa.array(columns[name], from_pandas=True) for name in METRIC_NAMES]  # NaN as null
            writer.write_table(pa.Table.from_arrays(arrays, schema=FRAME_SCORES))

        yield write


def find_hardest_frames(frames: Path) -> dict[str, int]:
    """By item_id of the reconstructions, the number of the driving frame least like the source."""
    table = pq.read_table(frames, columns=["task", "method", "item_id", "frame", "psnr"])
    copied = table.filter(
        (pc.field("task") == str(Task.RECONSTRUCTION)) & (pc.field("method") == str(MethodName.COPY_SOURCE))
    )
    rows = sorted(copied.to_pylist(), key=lambda row: -row["psnr"])
    return {row["item_id"]: row["frame"] for row in rows}  # the last of an item stays


def write_check_frames(animator: Animator, item: TestItem, path: Path) -> None:
    """Write a few frames with what the model makes of them, by which a copy of it is checked."""
    numbers = np.unique(np.linspace(1, item.frames, NUM_CHECK_FRAMES).round().astype(np.int32))
    source = read_clip_frames(item.source, slice(1))
    driving = np.concatenate([read_clip_frames(item.driving, slice(n, n + 1)) for n in numbers])
    made = animator.frames(animator.prepare(to_float(source)), to_float(driving))
    tensors = {
        "source": source,
        "driving": driving,
        "predicted": to_uint8(animator.enlarge(made)),
        "frames": numbers,
    }
    with atomic_path(path) as temporary:
        # One entry: safetensors writes several in another order each time.
        save_file(tensors, temporary, metadata={"item_id": item.item_id})


SECONDARY_METRICS = ("psnr", "ssim", "l1", "akd", "csim")
"""What reports/metrics.json says of the methods beside a task's main one; the tables have the rest."""


def evaluate_model(
    config: EvaluateConfig,
    crops: Path,
    landmarks: Path,
    models: Path,
    out: Path,
    on_progress: ProgressCallback,
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
    candidate = ModelMethod(animator)
    todo = build_items(load_test_clips(crops), config.pairs)
    write_test_set(todo, candidate, out)
    scores = score_items(config, todo, candidate, landmarks, out, on_progress)
    reconstructions = [item for item in todo if item.task == Task.RECONSTRUCTION]
    write_check_frames(animator, reconstructions[0], out / protocol.CHECK_FILE)
    shown = one_per_person(reconstructions, config.pictures)
    write_sample_grid(
        animator, shown, find_hardest_frames(out / protocol.FRAMES_FILE), out / protocol.PICTURES_FILE
    )
    return nest_metrics(scores)


def collect_predictions(
    config: EvaluateConfig, crops: Path, videos: Path, size: int, out: Path
) -> tuple[list[TestItem], VideoMethod]:
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
    rows = load_test_clips(crops)
    made = {path.stem for path in videos.iterdir()}
    asked = [item for item in build_items(rows, config.pairs) if item.task != Task.SUPER_RESOLUTION]
    tasks = {item.task for item in asked if item.item_id in made}
    if not tasks:
        raise FaceanimError(
            f"{videos} has no video of a test clip; the first is expected as {asked[0].item_id}.<any suffix>"
        )
    side = read_clip_frames(rows[0], slice(1)).shape[1]
    todo = [item for item in asked if item.task in tasks]
    candidate = VideoMethod(videos, size, side)
    write_test_set(asked, candidate, out)
    return todo, candidate


def score_items(
    config: EvaluateConfig,
    todo: Sequence[TestItem],
    candidate: Method,
    landmarks: Path,
    out: Path,
    on_progress: ProgressCallback,
) -> list[Row]:
    """Score a candidate and the baselines on all items, write it down, and return the rows of SCORES."""
    scores: list[Row] = []
    with load_metric_models(config.fetch) as tools, open_frame_table(out / protocol.FRAMES_FILE) as write:
        write_metric_models(tools, out)
        for done, item in enumerate(todo):
            on_progress(done, len(todo))
            found = ItemScorer(item, candidate, landmarks, tools).score(config.batch_size)
            for method, columns in found.items():
                write(item, method, columns)
                scores.append(average_frames(item, method, columns))
    write_table(scores, SCORES, out / protocol.SCORES_FILE)
    write_summaries_csv(summarize_scores(scores), out / protocol.FIGURES_FILE)
    write_clips_csv(scores, out / protocol.CLIP_FIGURES_FILE)
    write_ranked_videos(todo, scores, candidate, out)
    if reconstructions := [item for item in todo if item.task == Task.RECONSTRUCTION]:
        write_pitfall_example(reconstructions[0], candidate, out / protocol.PITFALLS_FILE)
    on_progress(len(todo), len(todo))
    return scores


def average_frames(item: TestItem, method: str, columns: Columns) -> Row:
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


def nest_metrics(scores: Sequence[Row]) -> dict[str, Any]:
    """The metrics as reports/metrics.json holds them, with the counts that they stand on."""
    metrics: dict[str, Any] = {}
    for figure in summarize_scores(scores):
        place = metrics.setdefault(figure.task, {})
        if figure.method != MAIN_METHOD[Task(figure.task)]:
            if figure.metric not in SECONDARY_METRICS:
                continue
            place = place.setdefault(figure.method, {})
        place[figure.metric] = figure.interval.mean
    for task, figures_of_task in metrics.items():
        rows = [row for row in scores if row["task"] == task and row["method"] == MAIN_METHOD[Task(task)]]
        figures_of_task |= {
            "clips": len(rows),
            "frames": sum(row["frames"] for row in rows),
            "people": len({row["person_id"] for row in rows}),
        }
    return metrics
