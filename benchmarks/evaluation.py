"""What evaluation costs beyond inference and metrics, and what memory it takes in a longer clip.

    python -m benchmarks.evaluation [--runs 3]

Against it stand the same inference and the same metrics on frames and landmarks that are in memory already:
no file is read, nothing is written or shown. The model is as large as the profile `sample` has it, untrained.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.common import cpu_threads, finish, peak_kilobytes, rates, use_shared_weights
from benchmarks.real_crops import make_crops, make_landmarks
from faceanim.config import load_params
from faceanim.evaluation import methods, scorer, test_set
from faceanim.evaluation.evaluate import evaluate_model
from faceanim.evaluation.scorer import load_metric_models
from faceanim.inference.animator import Animator
from faceanim.media.frames import Frames
from faceanim.models.build import build_animation, build_super_resolution
from faceanim.models.storage import save_animation, save_super_resolution
from faceanim.tables import Row

PARAMS = load_params(Path("profiles/sample.yaml"))
CLIPS = ("grid_bbaf2n", "latentsync_demo1", "nvidia_eyecontact", "liveportrait_d13")
"""Of four people; the first is left to train on."""
LONG = 10
"""A clip is so many times as long where memory is measured."""


def main() -> None:
    """Measure and print; with a folder as argument, evaluate what is in it and print this process's peak."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    cpu_threads(2)
    use_shared_weights()
    if arguments.folder:
        evaluated(arguments.folder)
        print(peak_kilobytes())
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        measured = rates(
            {"evaluate": lambda: evaluated(folder), "in memory": InMemory(folder).score},
            "frames",
            arguments.runs,
        )
        short, long = (peak(folder, times) for times in (1, LONG))
    print(f"peak memory on one clip: {short:,.0f} MB, on one {LONG} times as long {long:,.0f} MB")
    finish(
        {
            "evaluation_vs_in_memory": measured["evaluate"] / measured["in memory"],
            "clip_vs_long_clip_memory": short / long,
        }
    )


def prepare(folder: Path) -> None:
    """Crops of the real clips, their landmarks and an untrained model."""
    held_out = PARAMS.index.model_copy(update={"test_people": CLIPS[1:]})
    make_crops(CLIPS, folder, PARAMS.model_copy(update={"index": held_out}))
    make_landmarks(folder, PARAMS)
    torch.manual_seed(0)
    animation, enlarging = PARAMS.train_animation.model, PARAMS.train_sr.model
    save_animation(build_animation(animation), animation, folder / "models" / "animation")
    save_super_resolution(
        build_super_resolution(enlarging), enlarging, folder / "models" / "super_resolution"
    )


def evaluated(folder: Path) -> int:
    """Evaluate what is in a folder; the number of frames scored."""
    tables = folder / "crops.parquet", folder / "landmarks"
    metrics = evaluate_model(
        PARAMS.evaluate, *tables, folder / "models", folder / "out", lambda done, total: None
    )
    return sum(metrics[task]["frames"] for task in metrics)


class InMemory:
    """Inference and metrics alone: the evaluation's own code, on what is in memory."""

    def __init__(self, folder: Path) -> None:
        rows = test_set.load_test_clips(folder / "crops.parquet")
        self._items = test_set.build_items(rows, PARAMS.evaluate.pairs)
        self._frames = {row["crop_id"]: test_set.read_clip_frames(row, slice(None)) for row in rows}
        self._points = {row["crop_id"]: test_set.read_clip_points(folder / "landmarks", row) for row in rows}
        self._candidate = methods.ModelMethod(Animator.load(folder / "models"))
        self._folder = folder

    def score(self) -> int:
        """Score all items; the number of frames."""
        with (
            load_metric_models(PARAMS.evaluate.fetch) as tools,
            patch.object(scorer, "read_frames", self._read_frames),
            patch.object(methods, "read_frames", self._read_frames),
            patch.object(methods, "read_points", lambda folder, row: self._points[row["crop_id"]]),
        ):
            for item in self._items:
                item_scorer = scorer.ItemScorer(item, self._candidate, self._folder, tools)
                item_scorer.score(PARAMS.evaluate.batch_size)
        return sum(item.frames for item in self._items)

    def _read_frames(self, row: Row, frames: slice) -> Frames:
        return self._frames[row["crop_id"]][frames]


def peak(folder: Path, times: int) -> float:
    """Peak memory, in MB, of evaluating one clip, shown so many times over, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        other = Path(name)
        (other / "models").symlink_to(folder / "models")
        row, *_ = test_set.load_test_clips(folder / "crops.parquet")
        table = pq.read_table(folder / "crops.parquet").filter(pa.compute.field("crop_id") == row["crop_id"])
        for column in ("frame_offsets", "frame_lengths"):
            place = table.schema.get_field_index(column)
            longer = pa.array([row[column] * times], table.schema.field(column).type)
            table = table.set_column(place, table.schema.field(column), longer)
        pq.write_table(table, other / "crops.parquet")
        landmarks = pq.read_table(folder / "landmarks" / f"{row['video_id']}.parquet")
        own = landmarks.filter(pa.compute.field("crop_id") == row["crop_id"])
        (other / "landmarks").mkdir()
        pq.write_table(pa.concat_tables([own] * times), other / "landmarks" / f"{row['video_id']}.parquet")
        command = [sys.executable, "-m", "benchmarks.evaluation", str(other)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return int(done.stdout.splitlines()[-1]) / 1024


if __name__ == "__main__":
    main()
