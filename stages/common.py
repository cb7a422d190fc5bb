"""What the stage scripts share: how they start, what they read, and what they say of code and data."""

import csv
import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer
from ruamel.yaml import YAML

from faceanim.errors import FaceanimError, TemporaryError, disk_explained
from flows.names import git_revision


def start(main: Callable[..., None]) -> None:
    """Run a stage's main function on its command line.

    A user's mistake is one line and exit code 1; with what passes by itself the code is `os.EX_TEMPFAIL`.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        with disk_explained():
            app()
    except FaceanimError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(os.EX_TEMPFAIL if isinstance(error, TemporaryError) else 1) from None


def read_curve(path: Path) -> list[dict[str, float]]:
    """The numeric columns of a training history."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {key: float(value) for key, value in row.items() if value and key != "phase"}
            for row in csv.DictReader(file)
        ]


def lock_hash(lock: Mapping[str, Any]) -> str:
    """Sha256 of dvc.lock's stages but `register`, whose own entry is only written after it has run."""
    stages = {name: stage for name, stage in lock["stages"].items() if name != "register"}
    return hashlib.sha256(json.dumps(stages, sort_keys=True).encode()).hexdigest()


def revision() -> dict[str, str]:
    """What the code and the data were, as tags."""
    lock, tags = Path("dvc.lock"), {"git_revision": git_revision()}
    if lock.exists():
        tags["dvc_lock_sha256"] = lock_hash(YAML(typ="safe", pure=True).load(lock))
    return tags
