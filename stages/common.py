"""What every stage script shares: how it is started, and how it writes metrics."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from faceanim.errors import FaceanimError
from faceanim.tables import atomic_path


def start(main: Callable[..., None]) -> None:
    """Run a stage's main function on its command line; a user's mistake is one line and exit code 1."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app()
    except FaceanimError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def git_revision() -> str:
    """The commit of the working tree, with `+changes` when tracked files differ from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "none"


def write_metrics(metrics: dict[str, Any], path: Path) -> None:
    """Write metrics as the JSON that DVC shows: sorted keys, six digits."""

    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(item) for key, item in value.items()}
        return round(value, 6) if isinstance(value, float) else value

    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(rounded(metrics), indent=2, sort_keys=True) + "\n", encoding="utf-8")
