"""Cost of an evaluation besides inference and metrics, and its peak memory on a longer clip.

    python -m benchmarks.evaluation [--runs 3]

It is compared with the same inference and the same metrics on frames and landmarks that are already in
memory: no file is read, and nothing is written or drawn. The model has the size of the profile `sample` and
random weights.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor

from benchmarks.common import (
    add_clips_option,
    create_parser,
    measure_rates,
    print_summary,
    read_peak_memory,
    set_cpu_threads,
    use_shared_weights,
)
from benchmarks.real_crops import ignore_progress, make_crops, make_landmarks
from faceanim.config import load_params
from faceanim.evaluation import methods, scorer, test_set
from faceanim.evaluation.evaluate import evaluate_model
from faceanim.evaluation.scorer import load_metric_models
from faceanim.inference.animator import ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER, Animator
from faceanim.media.frames import Frames
from faceanim.models.build import build_animation, build_super_resolution
from faceanim.models.storage import save_animation, save_super_resolution
from faceanim.tables import Row

PARAMS = load_params(Path("profiles/sample.yaml"))
CLIPS = ("grid_bbaf2n", "latentsync_demo1", "nvidia_eyecontact", "liveportrait_d13")
"""Clips of four people."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results.

    With a folder as argument, evaluate its content and print the peak memory of this process.
    """
    parser = create_parser(__doc__, runs=3)
    parser.add_argument("folder", type=Path, nargs="?", help="Folder to evaluate in this process.")
    add_clips_option(parser, CLIPS)
    parser.add_argument(
        "--longer", type=int, default=10, help="How much longer the longer clip is (default: 10 times)."
    )
    args = parser.parse_args(arguments)
    set_cpu_threads(2)
    use_shared_weights()
    if args.folder:
        evaluate_folder(args.folder)
        print(read_peak_memory())
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare_folder(folder, args.clips)
        in_memory = InMemoryEvaluation(folder)
        rates = measure_rates(
            {"evaluate": lambda: evaluate_folder(folder), "in memory": in_memory.score}, "frames", args.runs
        )
        short, long = (measure_peak(folder, repeats) for repeats in (1, args.longer))
    print(f"peak memory: {short:,.0f} MB on one clip, {long:,.0f} MB on a clip {args.longer} times as long")
    print_summary(
        {
            "evaluation_vs_in_memory": rates["evaluate"] / rates["in memory"],
            "clip_vs_long_clip_memory": short / long,
        }
    )


def prepare_folder(folder: Path, clips: Sequence[str]) -> None:
    """Create crops of clips, all but the first held out, their landmarks, and a model with random weights."""
    held_out = PARAMS.index.model_copy(update={"test_people": clips[1:]})
    make_crops(clips, folder, PARAMS.model_copy(update={"index": held_out}))
    make_landmarks(folder, PARAMS)
    torch.manual_seed(0)
    animation, super_resolution = PARAMS.train_animation.model, PARAMS.train_sr.model
    models = folder / "models"
    save_animation(build_animation(animation), animation, models / ANIMATION_FOLDER)
    save_super_resolution(
        build_super_resolution(super_resolution), super_resolution, models / SUPER_RESOLUTION_FOLDER
    )


def evaluate_folder(folder: Path) -> int:
    """Evaluate the model and the crops of a folder; return the number of frames scored."""
    tables = folder / "crops.parquet", folder / "landmarks"
    metrics = evaluate_model(PARAMS.evaluate, *tables, folder / "models", folder / "out", ignore_progress)
    return sum(metrics[task]["frames"] for task in metrics)


class InMemoryEvaluation:
    """Inference and metrics of an evaluation, by its own code, on frames and landmarks held in memory."""

    def __init__(self, folder: Path) -> None:
        rows = test_set.load_test_clips(folder / "crops.parquet")
        self._items = test_set.build_items(rows, PARAMS.evaluate.pairs)
        self._frames = {row["crop_id"]: test_set.read_clip_frames(row, slice(None)) for row in rows}
        self._points = {row["crop_id"]: test_set.read_clip_points(folder / "landmarks", row) for row in rows}
        self._method = methods.ModelMethod(Animator.load(folder / "models"), folder / "landmarks")
        self._folder = folder

    def score(self) -> int:
        """Score all items; return the number of frames."""
        with (
            load_metric_models(PARAMS.evaluate.fetch) as metric_models,
            patch.object(scorer, "read_clip_frames", self._read_frames),
            patch.object(methods, "read_clip_frames", self._read_frames),
            patch.object(methods, "read_clip_points", self._read_points),
            patch.object(scorer, "read_clip_points", self._read_points),
        ):
            for item in self._items:
                item_scorer = scorer.ItemScorer(item, self._method, self._folder, metric_models)
                item_scorer.score(PARAMS.evaluate.batch_size)
        return sum(item.frames for item in self._items)

    def _read_frames(self, row: Row, frames: slice) -> Frames:
        return self._frames[row["crop_id"]][frames]

    def _read_points(self, folder: Path, row: Row) -> tuple[Tensor, Tensor]:
        return self._points[row["crop_id"]]


def measure_peak(folder: Path, repeats: int) -> float:
    """Measure the peak memory of a separate process that evaluates a clip, looped `repeats` times, in MB."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        (copy / "models").symlink_to(folder / "models")
        row, *_ = test_set.load_test_clips(folder / "crops.parquet")
        table = pq.read_table(folder / "crops.parquet").filter(pc.field("crop_id") == row["crop_id"])
        for column in ("frame_offsets", "frame_lengths"):
            index = table.schema.get_field_index(column)
            longer = pa.array([row[column] * repeats], table.schema.field(column).type)
            table = table.set_column(index, table.schema.field(column), longer)
        pq.write_table(table, copy / "crops.parquet")
        landmarks = pq.read_table(folder / "landmarks" / f"{row['video_id']}.parquet")
        landmarks = landmarks.filter(pc.field("crop_id") == row["crop_id"])
        (copy / "landmarks").mkdir()
        pq.write_table(
            pa.concat_tables([landmarks] * repeats), copy / "landmarks" / f"{row['video_id']}.parquet"
        )
        command = [sys.executable, "-m", "benchmarks.evaluation", str(copy)]
        process = subprocess.run(command, check=True, capture_output=True, text=True)
        return int(process.stdout.splitlines()[-1]) / 1024


if __name__ == "__main__":
    main()
