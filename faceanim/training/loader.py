"""Batches loaded by worker processes ahead of the steps, and interrupts that lose no work."""

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from faceanim.errors import FaceanimError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PREFETCH_FACTOR = 4
"""Batches that each worker prepares in advance."""
Batch = TypeVar("Batch")


def load_batches(batches: Dataset[Batch], steps: range, workers: int, pin: bool) -> Generator[Batch]:
    """Load the batches of some steps, in order; their content does not depend on the number of workers.

    Args:
        batches: dataset with one batch for each step.
        steps: steps to load; the workers live until the last of them.
        workers: processes that load batches; 0: the calling process.
        pin: whether to pin the memory, from which a GPU copies while it computes.

    Raises:
        FaceanimError: a file is missing or damaged.
    """
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=PREFETCH_FACTOR if workers else None,
        pin_memory=pin,
        worker_init_fn=init_worker,
        generator=torch.Generator(),  # the default generator is the one that steps use
    )
    batches_ahead = iter(loader)
    try:
        yield from batches_ahead
    except FaceanimError as error:  # from a worker, the text holds its traceback
        raise FaceanimError(str(error).strip().splitlines()[-1].rpartition("FaceanimError: ")[2]) from None
    finally:
        if workers:
            # A traceback that refers to the workers would keep them alive and delay the exit.
            batches_ahead._shutdown_workers()  # type: ignore[attr-defined]


def count_workers(requested: int, processes: int) -> int:
    """Return the number of workers per training process, limited to the cores that these processes leave.

    Args:
        requested: workers on the whole machine.
        processes: training processes on the machine.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0, min(requested, cores - processes) // processes)


def init_worker(number: int) -> None:
    """Limit a worker to one core, and let it outlive signals sent to all: the training stops its workers."""
    cv2.setNumThreads(0)
    ignore_interrupts()


def ignore_interrupts() -> None:
    """Ignore Ctrl-C and the first SIGTERM; a second one, perhaps from the parent, ends the process."""

    def ignore_once(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, ignore_once)


@contextmanager
def catch_interrupts() -> Iterator[Callable[[], bool]]:
    """Catch Ctrl-C and SIGTERM, so that a run can stop where no work is lost.

    Yields:
        A function that returns whether a signal has arrived; a second signal ends the process at once.
    """
    caught: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        if caught:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        caught.append(number)

    previous = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
