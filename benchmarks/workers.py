"""Speed-up by a second worker: crop and landmarks of real clips with one worker process and with two."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.common import add_clips_option, create_parser, measure_rates, print_summary
from benchmarks.real_crops import PARAMS, ignore_progress, list_clips, make_crops
from faceanim.config import Params
from faceanim.faces.crop_stage import crop_videos
from faceanim.faces.landmark_stage import detect_landmarks
from faceanim.workers import make_pool_mapper

COPIES = 3
"""Copies of each clip: in a minute of work, the start of two processes weighs as little as in a day of it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__, runs=3)
    add_clips_option(parser, None)
    parser.add_argument("--copies", type=int, default=COPIES, help="Copies of each clip (default: 3).")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_crops(args.clips or list_clips(), folder, copies=args.copies)
        crop = measure_rates({f"crop, {n}": prepare_crop(folder, n) for n in (1, 2)}, "frames", args.runs)
        landmarks = measure_rates(
            {f"landmarks, {n}": prepare_landmarks(folder, n) for n in (1, 2)}, "frames", args.runs
        )
    print_summary(
        {
            "crop": crop["crop, 2"] / crop["crop, 1"],
            "landmarks": landmarks["landmarks, 2"] / landmarks["landmarks, 1"],
        }
    )


def set_workers(workers: int) -> Params:
    """Return VoxCeleb's parameters with that many workers, and one shard per video because there are few."""
    run = PARAMS.run.model_copy(update={"workers": workers, "shard_size": 1})
    return PARAMS.model_copy(update={"run": run})


def prepare_crop(folder: Path, workers: int) -> Callable[[], int]:
    """Return a callable that crops every video anew and returns the number of frames."""

    def variant() -> int:
        params = set_workers(workers)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            out = Path(name)
            counts = crop_videos(
                params.crop, params.run, folder / "index.parquet", folder / "download.parquet",
                out / "crops", out / "crops.parquet", make_pool_mapper(params.run), ignore_progress,
            )  # fmt: skip
        return sum(counts["frames"].values())

    return variant


def prepare_landmarks(folder: Path, workers: int) -> Callable[[], int]:
    """Return a callable that detects all landmarks anew and returns the number of frames."""

    def variant() -> int:
        params = set_workers(workers)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            counts = detect_landmarks(
                params.landmarks, params.run, folder / "crops.parquet", folder / "crops",
                Path(name) / "landmarks", make_pool_mapper(params.run), ignore_progress,
            )  # fmt: skip
        return int(counts["frames"])

    return variant


if __name__ == "__main__":
    main()
