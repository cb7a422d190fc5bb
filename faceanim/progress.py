"""Progress of long work, as a live bar in a terminal and as occasional lines elsewhere; logging of runs."""

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

LOG_INTERVAL_S = 15.0
"""Time between two printed lines of progress, in seconds."""


class RunLogger(Protocol):
    """Destination of what a training logs while it runs; the CSV of its curves is written independently.

    The methods never raise, because logging must not end a training.
    """

    run_id: str | None
    """Identifier by which a resumed training continues its run; None if the run is not recorded."""

    def log_params(self, values: dict[str, Any]) -> None:
        """Log the parameters of the run, which may be nested."""

    def log_metrics(self, step: int, values: dict[str, float]) -> None:
        """Log the metrics of a step."""

    def log_image(self, step: int, name: str, image: "NDArray[np.uint8]") -> None:
        """Log an image of a step, (H, W, 3), RGB."""

    def close(self, status: RunStatus) -> None:
        """End the run, which a later process may resume."""


OpenLogger = Callable[[str | None], RunLogger]
"""Callable that opens the logger of the run with the given id, or of a new run if it is None."""


class NullLogger:
    """A `RunLogger` that discards everything."""

    run_id: str | None = None

    def log_params(self, values: dict[str, Any]) -> None:
        """Discard the parameters."""

    def log_metrics(self, step: int, values: dict[str, float]) -> None:
        """Discard the metrics."""

    def log_image(self, step: int, name: str, image: "NDArray[np.uint8]") -> None:
        """Discard the image."""

    def close(self, status: RunStatus) -> None:
        """Do nothing."""


class ProgressCallback(Protocol):
    """Callable that receives the progress of long work."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Report that `done` of `total` items are finished; `note` is shown beside them."""


def ignore_progress(done: int, total: int, note: str = "") -> None:
    """Report nothing: the `ProgressCallback` of callers that show none."""


class Watcher(ProgressCallback, Protocol):
    """Callable that receives the progress of a stage, and links to pages about it."""

    def link(self, text: str, address: str) -> None:
        """Show a link."""


@contextmanager
def show_progress(name: str) -> Iterator[ProgressCallback]:
    """Show progress as a live bar in a terminal, and as occasional lines elsewhere (in a log or in CI)."""
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
    """Return a callback that prints the first report, the last, and one every `LOG_INTERVAL_S` seconds."""
    printed_at = float("-inf")

    def on_progress(done: int, total: int, note: str = "") -> None:
        nonlocal printed_at
        if done == total or time.monotonic() - printed_at >= LOG_INTERVAL_S:
            printed_at = time.monotonic()
            print(f"{name}: {done}/{total} {note}".rstrip(), file=sys.stderr, flush=True)

    return on_progress
