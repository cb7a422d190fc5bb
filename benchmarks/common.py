"""Tools of all benchmarks: pinned cores, alternating runs, medians with their spread, a JSON summary."""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from math import isnan
from pathlib import Path

import cv2

from faceanim.config import Params, load_params
from faceanim.models.pretrained import WEIGHTS_VARIABLE

MEDIA_VARIABLE = "FACEANIM_BENCHMARK_MEDIA"
"""Environment variable with the folder of the media; by default it is `../shared`, beside the checkout."""


def create_parser(description: str | None, runs: int | None = None) -> argparse.ArgumentParser:
    """Create the parser of a benchmark's options.

    Args:
        description: description of the benchmark, printed with its line breaks.
        runs: default of the option `--runs`; None for a benchmark that has no such option.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if runs is not None:
        parser.add_argument(
            "--runs",
            type=int,
            default=runs,
            help=f"Number of measured runs of each variant (default: {runs}).",
        )
    return parser


def add_clips_option(parser: argparse.ArgumentParser, default: Sequence[str] | None) -> None:
    """Add the option `--clips`, the names of the clips that a benchmark uses; None stands for all of them."""
    shown = "all" if default is None else " ".join(default)
    parser.add_argument(
        "--clips", nargs="+", metavar="NAME", default=default, help=f"Clips to use (default: {shown})."
    )


def add_profile_option(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the option `--profile`, the name of the shipped profile that a benchmark uses."""
    parser.add_argument("--profile", default=default, help=f"Profile to use (default: {default}).")


def load_profile(name: str) -> Params:
    """Load a shipped profile."""
    return load_params(Path("profiles", f"{name}.yaml"))


def add_peer_option(parser: argparse.ArgumentParser) -> None:
    """Add the option `--peer`, without which only faceanim is measured and the ratios are null."""
    parser.add_argument("--peer", type=Path, help="Checkout of the reference model; without it, no ratios.")


def pin_to_one_core() -> None:
    """Pin this process and its child processes to one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)


def set_cpu_threads(count: int) -> None:
    """Limit torch to `count` CPU threads and no GPU, and OpenCV to one thread."""
    import torch  # imported late, because most benchmarks do not need it

    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(count)
    cv2.setNumThreads(1)


def read_peak_memory() -> int:
    """Read the peak memory of this process, in kilobytes (Linux only).

    `getrusage` is unsuitable: its peak starts at the memory of the parent process.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def shared_path(*parts: str) -> Path:
    """Return the path of real media; exit with a message if it does not exist."""
    folder = Path(os.environ.get(MEDIA_VARIABLE) or Path(__file__).parents[1] / "../shared")
    path = folder.joinpath(*parts).resolve()
    if not path.exists():
        sys.exit(
            f"{path} does not exist; this benchmark needs the real media in ../shared beside the checkout, "
            f"or in the folder that {MEDIA_VARIABLE} names"
        )
    return path


def find_clip(name: str) -> Path:
    """Return the path of a clip's video; exit with a message if it does not exist."""
    videos = sorted(shared_path("faces", "clips", name).glob(f"{name}.*"))
    return videos[0] if videos else shared_path("faces", "clips", name, f"{name}.mp4")


def use_shared_weights() -> None:
    """Make MediaPipe use the weights beside the checkout."""
    os.environ[WEIGHTS_VARIABLE] = str(shared_path("models", "face_landmarker.task").parent)


def measure_rates(variants: Mapping[str, Callable[[], int]], unit: str, runs: int) -> dict[str, float]:
    """Run the variants alternately, then print and return the median rate of each.

    Args:
        variants: callables by name; each does its work and returns the number of units processed. All are
            called once before the measurement.
        unit: name of the unit, in the plural.
        runs: number of measured runs of each variant.

    Returns:
        Median rate of each variant, in units per second.
    """
    measured: dict[str, list[float]] = {name: [] for name in variants}
    for variant in variants.values():
        variant()
    for _ in range(runs):
        for name, variant in variants.items():
            start = time.perf_counter()
            count = variant()
            measured[name].append(count / (time.perf_counter() - start))
    width = max(map(len, measured))
    digits = 1 if min(map(min, measured.values())) >= 10 else 3
    for name, values in measured.items():
        spread = f"{min(values):,.{digits}f} to {max(values):,.{digits}f}"
        print(f"{name:{width}}  {statistics.median(values):10,.{digits}f} {unit}/s  ({spread}, {runs} runs)")
    return {name: statistics.median(values) for name, values in measured.items()}


def print_summary(results: Mapping[str, float]) -> None:
    """Print the results as the last line, in JSON, with null for NaN; in ratios, greater is better."""
    print(json.dumps({name: None if isnan(value) else round(value, 3) for name, value in results.items()}))
