"""Showing how far long work has come: a live bar in a terminal, elsewhere a line now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 15.0


class OnProgress(Protocol):
    """Told how far a long piece of work has come."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total` items are finished; `note` is shown beside them."""


@contextmanager
def progress(name: str) -> Iterator[OnProgress]:
    """Show progress: a live bar in a terminal, elsewhere (a log, CI) a line now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lines(name)
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


def lines(name: str) -> OnProgress:
    """Progress as printed lines: the first, the last and one every `LINE_EVERY_S` seconds."""
    printed_at = float("-inf")

    def on_progress(done: int, total: int, note: str = "") -> None:
        nonlocal printed_at
        if done == total or time.monotonic() - printed_at >= LINE_EVERY_S:
            printed_at = time.monotonic()
            print(f"{name}: {done}/{total} {note}".rstrip(), file=sys.stderr, flush=True)

    return on_progress
