"""Code shared by the stage scripts: error handling, and the revision of code and data."""

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

from faceanim.errors import FaceanimError, TemporaryError, name_missing_packages, wrap_disk_errors
from faceanim.loopback import bypass_proxies
from flows.dvc import git_revision


def run_stage(main: Callable[..., None]) -> None:
    """Run the main function of a stage on the command line.

    User errors print one line and exit with 1; transient errors exit with `os.EX_TEMPFAIL`.
    """
    bypass_proxies()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        with wrap_disk_errors(), name_missing_packages():
            app()
    except FaceanimError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(os.EX_TEMPFAIL if isinstance(error, TemporaryError) else 1) from None


def read_curve(path: Path) -> list[dict[str, float]]:
    """Read the numeric columns of a training history."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {key: float(value) for key, value in row.items() if value and key != "phase"}
            for row in csv.DictReader(file)
        ]


def collect_code_tags() -> dict[str, str]:
    """Collect the revision of the code, and the name of the DVC experiment if it is one, as tags."""
    tags = {"git_revision": git_revision()}
    if experiment := os.environ.get("DVC_EXP_NAME"):
        tags["dvc_experiment"] = experiment
    return tags


def collect_revision_tags() -> dict[str, str]:
    """Collect the revisions of code and data as tags."""
    lock, tags = Path("dvc.lock"), collect_code_tags()
    if lock.exists():
        tags["dvc_lock_sha256"] = hash_lock(YAML(typ="safe", pure=True).load(lock))
    return tags


def hash_lock(lock: Mapping[str, Any]) -> str:
    """Hash the stages of dvc.lock, except `register`, whose entry is written only after it has run."""
    stages = {name: stage for name, stage in lock["stages"].items() if name != "register"}
    return hashlib.sha256(json.dumps(stages, sort_keys=True).encode()).hexdigest()
