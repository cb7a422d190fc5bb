"""What every stage script shares: how it is started, how it shows progress, how it writes metrics."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from faceanim.errors import FaceanimError
from faceanim.tables import atomic_path

LINE_EVERY_S = 15.0


class OnProgress(Protocol):
    """Told how far a long piece of work has come."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total` items are finished; `note` is shown beside them."""


def start(main: Callable[..., None]) -> None:
    """Run a stage's main function on its command line; a user's mistake is one line and exit code 1."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app()
    except FaceanimError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


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


def write_metrics(metrics: dict[str, Any], path: Path) -> None:
    """Write metrics as the JSON that DVC shows: sorted keys, six digits."""

    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(item) for key, item in value.items()}
        return round(value, 6) if isinstance(value, float) else value

    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(rounded(metrics), indent=2, sort_keys=True) + "\n", encoding="utf-8")
