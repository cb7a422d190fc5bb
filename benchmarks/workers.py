"""What a second worker gives: crop and landmarks of real clips with one worker process and with two."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import finish, rates, shared
from benchmarks.real_crops import PARAMS, ignore, make_crops
from faceanim.config import Params
from faceanim.faces.crop_stage import crop_videos
from faceanim.faces.landmark_stage import detect_landmarks
from faceanim.workers import make_pool_mapper

COPIES = 3
"""Of each clip: in a minute of work the start of two processes weighs as little as it does in a day's."""


def with_workers(workers: int) -> Params:
    """VoxCeleb's parameters with that many workers, and a shard for each video: there are not many."""
    run = PARAMS.run.model_copy(update={"workers": workers, "shard_size": 1})
    return PARAMS.model_copy(update={"run": run})


def cropping(folder: Path, workers: int) -> Callable[[], int]:
    """Crops every video anew, and counts the frames."""

    def variant() -> int:
        params = with_workers(workers)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            out = Path(name)
            counts = crop_videos(
                params.crop, params.run, folder / "index.parquet", folder / "download.parquet",
                out / "crops", out / "crops.parquet", make_pool_mapper(params.run), ignore,
            )  # fmt: skip
        return sum(counts["frames"].values())

    return variant


def landmarking(folder: Path, workers: int) -> Callable[[], int]:
    """Finds every landmark anew, and counts the frames."""

    def variant() -> int:
        params = with_workers(workers)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            counts = detect_landmarks(
                params.landmarks, params.run, folder / "crops.parquet", folder / "crops",
                Path(name) / "landmarks", make_pool_mapper(params.run), ignore,
            )  # fmt: skip
        return int(counts["frames"])

    return variant


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = sorted(path.name for path in shared("faces", "clips").iterdir())
        make_crops(clips, folder, copies=COPIES)
        crops = rates({f"crop, {n}": cropping(folder, n) for n in (1, 2)}, "frames", runs)
        points = rates({f"landmarks, {n}": landmarking(folder, n) for n in (1, 2)}, "frames", runs)
    finish(
        {
            "crop": crops["crop, 2"] / crops["crop, 1"],
            "landmarks": points["landmarks, 2"] / points["landmarks, 1"],
        }
    )


if __name__ == "__main__":
    main()
