"""Showing how far long work has come: a live bar in a terminal, elsewhere a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]


class RunLogger(Protocol):
    """Takes what a run has to tell; never raises, for no training may end by it."""

    run_id: str | None
    """What a resumed run is continued by."""

    def log_params(self, values: dict[str, Any]) -> None:
        """The run's parameters, nested as they may be."""

    def log_metrics(self, step: int, values: dict[str, float]) -> None:
        """Figures of a step."""

    def log_image(self, step: int, name: str, picture: "NDArray[np.uint8]") -> None:
        """A picture of a step, (H, W, 3), RGB."""

    def close(self, status: RunStatus) -> None:
        """The run is over, for now."""


OpenLogger = Callable[[str | None], RunLogger]
"""Opens the logger of a new run, or of the run of that id."""


class NullLogger:
    """Keeps everything to itself."""

    run_id: str | None = None

    def log_params(self, values: dict[str, Any]) -> None:
        """Nothing."""

    def log_metrics(self, step: int, values: dict[str, float]) -> None:
        """Nothing."""

    def log_image(self, step: int, name: str, picture: "NDArray[np.uint8]") -> None:
        """Nothing."""

    def close(self, status: RunStatus) -> None:
        """Nothing."""


LOG_INTERVAL_S = 15.0


class ProgressCallback(Protocol):
    """Told how far a long piece of work has come."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total` items are finished; `note` is shown beside them."""


@contextmanager
def show_progress(name: str) -> Iterator[ProgressCallback]:
    """Show progress: a live bar in a terminal, elsewhere (a log, CI) a line now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield print_progress(name)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(name, total=None, note="")
        yield lambda done, total, note="": bars.update(task, completed=done, total=total, note=note)


def print_progress(name: str) -> ProgressCallback:
    """Progress as printed lines: the first, the last and one every `LINE_EVERY_S` seconds."""
    printed_at = float("-inf")

    def on_progress(done: int, total: int, note: str = "") -> None:
        nonlocal printed_at
        if done == total or time.monotonic() - printed_at >= LOG_INTERVAL_S:
            printed_at = time.monotonic()
            print(f"{name}: {done}/{total} {note}".rstrip(), file=sys.stderr, flush=True)

    return on_progress


class Watcher(ProgressCallback, Protocol):
    """Told how far a stage has come, and of pages about it."""

    def link(self, text: str, address: str) -> None:
        """Show a link."""
