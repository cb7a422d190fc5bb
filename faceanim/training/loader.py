"""Batches made ahead of the steps that need them, by other processes."""

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


@contextmanager
def catch_interrupts() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C or SIGTERM has come; a second one ends the process at once."""
    caught: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        if caught:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        caught.append(number)

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_interrupts() -> None:
    """Leave stopping to the process that this one works for, whose own SIGTERM may be the second here."""

    def ignore_once(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, ignore_once)


PREFETCH_FACTOR = 4
"""Batches that each worker has ready."""

Batch = TypeVar("Batch")


def load_batches(batches: Dataset[Batch], steps: range, workers: int, pin: bool) -> Generator[Batch]:
    """The batches of some steps, in their order; who makes them changes nothing in them.

    Args:
        batches: the batch of each step.
        steps: those to give; the workers live as long as it takes.
        workers: processes that make them; 0: the one that asks.
        pin: for a GPU, which copies from pinned memory while it computes.

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
        generator=torch.Generator(),  # or it would draw from the one that the steps draw from
    )
    batches_ahead = iter(loader)
    try:
        yield from batches_ahead
    except FaceanimError as error:  # from a worker it comes with the worker's traceback as its text
        raise FaceanimError(str(error).strip().splitlines()[-1].rpartition("FaceanimError: ")[2]) from None
    finally:
        if workers:
            # While a traceback refers to them they would live on, and hold up the exit.
            batches_ahead._shutdown_workers()  # type: ignore[attr-defined]


def init_worker(number: int) -> None:
    """Keep to one core, and live on when a signal goes to all: the training will see to its workers."""
    cv2.setNumThreads(0)
    ignore_interrupts()


def count_workers(wanted: int, processes: int) -> int:
    """Workers for each of several trainings on this machine: no more than the cores that these leave.

    Args:
        wanted: workers on the whole machine.
        processes: trainings on it.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0, min(wanted, cores - processes) // processes)
