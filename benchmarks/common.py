"""How every benchmark is run: pinned cores, interleaved runs, medians and spread, one line of JSON."""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from math import isnan
from pathlib import Path

import cv2

from faceanim.models.pretrained import WEIGHTS_VARIABLE

SHARED = Path(__file__).parents[1] / "../shared"


def pin() -> None:
    """Keep this process, and those that it starts, on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)


def cpu_threads(count: int) -> None:
    """Let torch compute on that many threads and on no GPU, and OpenCV, beside it, on one."""
    import torch  # here, because most benchmarks do without

    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(count)
    cv2.setNumThreads(1)


def peak_kilobytes() -> int:
    """The most memory that this process has held, on Linux.

    `getrusage` would not do: it starts from what the process that started this one held.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def shared(*parts: str) -> Path:
    """A file of the real media beside the checkout; without it the benchmark ends with a message."""
    path = SHARED.joinpath(*parts).resolve()
    if not path.exists():
        sys.exit(f"{path} is missing: this benchmark measures on the real media that lie beside the checkout")
    return path


def use_shared_weights() -> None:
    """Let MediaPipe's weights be those beside the checkout."""
    os.environ[WEIGHTS_VARIABLE] = str(shared("models", "face_landmarker.task").parent)


def rates(variants: Mapping[str, Callable[[], int]], unit: str, runs: int) -> dict[str, float]:
    """Run the variants in turn, `runs` times over, and print and return their median rates.

    Args:
        variants: by name: does the work, and returns how many units it was; once before, unmeasured.
        unit: what is counted, in the plural.
        runs: how often each is measured.
    """
    measured: dict[str, list[float]] = {name: [] for name in variants}
    for variant in variants.values():
        variant()
    for _ in range(runs):
        for name, variant in variants.items():
            began = time.perf_counter()
            count = variant()
            measured[name].append(count / (time.perf_counter() - began))
    width = max(map(len, measured))
    digits = 1 if min(map(min, measured.values())) >= 10 else 3
    for name, values in measured.items():
        spread = f"{min(values):,.{digits}f} to {max(values):,.{digits}f}"
        print(f"{name:{width}}  {statistics.median(values):10,.{digits}f} {unit}/s  ({spread}, {runs} runs)")
    return {name: statistics.median(values) for name, values in measured.items()}


def finish(ratios: Mapping[str, float]) -> None:
    """Print the ratios as the last line, null where there is none; greater is better for us."""
    print(json.dumps({name: None if isnan(value) else round(value, 3) for name, value in ratios.items()}))
