"""Evaluation of a model, or of another method's videos, by the pinned protocol on the held-out people.

There are three tasks: reconstruct a clip from its first frame, re-enact one person by another, and enlarge.
The same code scores each method and the same baselines. `faceanim.evaluation.protocol` lists the files that
an evaluation writes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from faceanim.evaluation.predictions import check_predictions, list_predictions
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
from faceanim.evaluation.test_set import (
    TestItem,
    build_items,
    check_landmarks,
    load_test_clips,
    read_clip_frames,
)
from faceanim.inference.animator import Animator
from faceanim.media.tensors import to_float, to_uint8
from faceanim.progress import ProgressCallback
from faceanim.tables import Row, atomic_path, file_sha256, write_json, write_table

PROTOCOL_VERSION = "3"
"""Version of the protocol, raised whenever the same predictions would get other scores than before."""
NUM_CHECK_FRAMES = 8
"""Number of frames in the file by which a copy of the model is checked."""
SUMMARY_METRICS = ("psnr", "ssim", "akd")
"""Metrics that reports/summary.json holds for the model and for its baselines."""
SECONDARY_METRICS = ("psnr", "ssim", "l1", "akd", "csim")
"""Metrics that reports/metrics.json holds for methods other than a task's main one; the tables hold all."""


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
        config: batch size, number of pairs, number of rows in the image grid.
        crops: crops.parquet.
        landmarks: folder of the landmarks tables.
        models: folder with `animation` and `super_resolution`.
        out: folder to write the files that `faceanim.evaluation.protocol` lists to.
        on_progress: called with the number of items done and the total.

    Returns:
        Nested metrics: for each task those of its main method, and among them, by name, a dictionary for each
        other method.

    Raises:
        FaceanimError: there is no test clip or no model, or the model's frames and the crops differ in size.
    """
    method = ModelMethod(Animator.load(models), landmarks)
    todo = build_items(load_test_clips(crops), config.pairs)
    write_test_set(todo, method, out)
    scores = score_items(config, todo, method, landmarks, out, on_progress)
    reconstructions = [item for item in todo if item.task == Task.RECONSTRUCTION]
    write_check_frames(method, reconstructions[0], out / protocol.CHECK_FILE)
    shown = one_per_person(reconstructions, config.pictures)
    write_sample_grid(
        method, shown, find_hardest_frames(out / protocol.FRAMES_FILE), out / protocol.PICTURES_FILE
    )
    return nest_metrics(scores)


def collect_predictions(
    config: EvaluateConfig,
    crops: Path,
    folder: Path,
    size: int,
    out: Path,
    on_progress: ProgressCallback,
) -> tuple[list[TestItem], VideoMethod]:
    """Collect and check the predictions by which another method is scored, for `score_items`.

    A task is scored if the folder has a prediction of any of its items; then each of its items must have one.
    The test set is written to `out` at once, so that it is known before the work which scores are comparable.

    Args:
        config: number of pairs.
        crops: crops.parquet.
        folder: folder of the predictions: `<item_id>.<any suffix>`, or a folder `<item_id>` of frames.
        size: side at which they are scored, in pixels.
        out: folder of the evaluation.
        on_progress: called with the number of predictions checked and the total.

    Raises:
        FaceanimError: there is no prediction or no test clip, or predictions cannot be scored; the message
            lists all of these.
    """
    predicted = list_predictions(folder)
    rows = load_test_clips(crops)
    candidates = [item for item in build_items(rows, config.pairs) if item.task != Task.SUPER_RESOLUTION]
    tasks = {item.task for item in candidates if item.item_id in predicted}
    if not tasks:
        raise FaceanimError(
            f"{folder} has no prediction of a test item; the first is expected as "
            f"{candidates[0].item_id}.<any suffix>, or as a folder {candidates[0].item_id} of PNG files"
        )
    todo = [item for item in candidates if item.task in tasks]
    side = read_clip_frames(rows[0], slice(1)).shape[1]
    method = VideoMethod(check_predictions(folder, todo, on_progress), size, side)
    write_test_set(candidates, method, out)
    return todo, method


def score_items(
    config: EvaluateConfig,
    todo: Sequence[TestItem],
    method: Method,
    landmarks: Path,
    out: Path,
    on_progress: ProgressCallback,
) -> list[Row]:
    """Score a method and the baselines on all items, write the results, and return the rows of SCORES.

    Raises:
        FaceanimError: crops or landmarks of the items are missing, which is checked first.
    """
    check_landmarks(todo, landmarks)
    scores: list[Row] = []
    with (
        load_metric_models(config.fetch) as metric_models,
        open_frame_table(out / protocol.FRAMES_FILE) as write,
    ):
        write_measured_with(metric_models, method.count_without_landmarks(todo), out)
        for done, item in enumerate(todo):
            on_progress(done, len(todo))
            item_scores = ItemScorer(item, method, landmarks, metric_models).score(config.batch_size)
            for name, columns in item_scores.items():
                write(item, name, columns)
                scores.append(average_frames(item, name, columns))
    write_table(scores, SCORES, out / protocol.SCORES_FILE)
    write_summaries_csv(summarize_scores(scores), out / protocol.FIGURES_FILE)
    write_clips_csv(scores, out / protocol.CLIP_FIGURES_FILE)
    write_ranked_videos(todo, scores, method, out)
    if reconstructions := [item for item in todo if item.task == Task.RECONSTRUCTION]:
        write_pitfall_example(reconstructions[0], method, out / protocol.PITFALLS_FILE)
    on_progress(len(todo), len(todo))
    return scores


def write_test_set(todo: Sequence[TestItem], method: Method, out: Path) -> None:
    """Write the protocol, the clips with their hashes, and the pairs of source and driving clip.

    Evaluations on the same test set write the same bytes, whatever they evaluate: the only properties of the
    method that are written are its sizes.
    """
    write_json(
        {
            "version": PROTOCOL_VERSION,
            "size": method.size,
            "output_size": method.output_size,
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


def write_measured_with(models: MetricModels, without_landmarks: int, out: Path) -> None:
    """Write the networks of the metrics, the metrics skipped for lack of one, and the missing landmarks."""
    write_json(
        {
            "networks": models.networks,
            "left_out": models.left_out,
            "without_landmarks": without_landmarks,
        },
        out / protocol.MEASURED_WITH_FILE,
    )


@contextmanager
def open_frame_table(path: Path) -> Iterator[Callable[[TestItem, str, Columns], None]]:
    """Open a table of FRAME_SCORES and yield a function that appends a method's scores of an item.

    The table is written item by item, but appears whole or not at all.
    """
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


def average_frames(item: TestItem, method: str, columns: Columns) -> Row:
    """Average each metric over the frames that have a value, as a row of SCORES."""
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
    """Nest the metrics as in reports/metrics.json, with the numbers of clips, frames and people."""
    metrics: dict[str, Any] = {}
    for summary in summarize_scores(scores):
        values = metrics.setdefault(summary.task, {})
        if summary.method != MAIN_METHOD[Task(summary.task)]:
            if summary.metric not in SECONDARY_METRICS:
                continue
            values = values.setdefault(summary.method, {})
        values[summary.metric] = summary.interval.mean
    for task, task_metrics in metrics.items():
        rows = [row for row in scores if row["task"] == task and row["method"] == MAIN_METHOD[Task(task)]]
        task_metrics |= {
            "clips": len(rows),
            "frames": sum(row["frames"] for row in rows),
            "people": len({row["person_id"] for row in rows}),
        }
    return metrics


def summarize_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Select the metrics that `dvc metrics show` shows: few enough for one line of a terminal.

    Args:
        metrics: metrics from `nest_metrics`.

    Returns:
        SUMMARY_METRICS of the reconstruction, and among them those of each baseline by its name; the PSNR of
        the super-resolution and of its baseline. Metrics that were not measured are left out.
    """
    reconstruction, enlarged = metrics[Task.RECONSTRUCTION], metrics[Task.SUPER_RESOLUTION]
    summary = _select_metrics(reconstruction)
    for baseline in (MethodName.COPY_SOURCE, MethodName.LANDMARK_WARP):
        summary[baseline] = _select_metrics(reconstruction[baseline])
    bicubic = enlarged[MethodName.BICUBIC]["psnr"]
    return summary | {str(Task.SUPER_RESOLUTION): {"psnr": enlarged["psnr"], "psnr_bicubic": bicubic}}


def _select_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: metrics[name] for name in SUMMARY_METRICS if name in metrics}


def find_hardest_frames(frames: Path) -> dict[str, int]:
    """Find the number of the driving frame least like the source, for each reconstruction by item_id."""
    table = pq.read_table(frames, columns=["task", "method", "item_id", "frame", "psnr"])
    copied = table.filter(
        (pc.field("task") == str(Task.RECONSTRUCTION)) & (pc.field("method") == str(MethodName.COPY_SOURCE))
    )
    rows = sorted(copied.to_pylist(), key=lambda row: -row["psnr"])
    return {row["item_id"]: row["frame"] for row in rows}  # the last row of an item wins


def write_check_frames(method: ModelMethod, item: TestItem, path: Path) -> None:
    """Write a few frames with the model's predictions, by which a copy of the model is checked.

    Landmarks are written, too, since those of a video differ from those read in single frames.
    """
    animator = method.animator
    numbers = np.unique(np.linspace(1, item.frames, NUM_CHECK_FRAMES).round().astype(np.int32))
    source = read_clip_frames(item.source, slice(1))
    driving = np.concatenate([read_clip_frames(item.driving, slice(n, n + 1)) for n in numbers])
    source_landmarks, landmarks = method.read_landmarks(item.source), method.read_landmarks(item.driving)
    driving_landmarks = None if landmarks is None else landmarks[numbers]
    predicted = animator.frames(method.prepare_source(item), to_float(driving), driving_landmarks)
    tensors = {
        "source": source,
        "driving": driving,
        "predicted": to_uint8(animator.enlarge(predicted)),
        "frames": numbers,
    }
    if source_landmarks is not None and driving_landmarks is not None:
        tensors |= {
            "source_landmarks": source_landmarks[:1].numpy(),
            "driving_landmarks": driving_landmarks.numpy(),
        }
    with atomic_path(path) as temporary:
        # A single entry: safetensors writes several in an order that varies.
        save_file(tensors, temporary, metadata={"item_id": item.item_id})
