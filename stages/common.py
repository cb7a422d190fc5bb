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

from faceanim.config import RunConfig, Section
from faceanim.errors import FaceanimError, TemporaryError, wrap_disk_errors
from faceanim.progress import NullLogger, OpenLogger, RunLogger, Watcher
from faceanim.training.monitoring import RunContext, StepReport
from flows.dvc import git_revision


def make_run_context(stage: str, run: RunConfig, config: Section, watcher: Watcher) -> RunContext:
    """Tell of a training's progress, and send its curves to MLflow where that is installed."""

    def on_step(report: StepReport) -> None:
        watcher(report.step, report.total, report.to_line())

    return RunContext(run.workers, make_logger_opener(stage, run, config, watcher), on_step)


def make_logger_opener(stage: str, run: RunConfig, config: Section, watcher: Watcher) -> OpenLogger:
    """What opens a run in MLflow, named like the stage."""

    def open_logger(run_id: str | None) -> RunLogger:
        try:
            from faceanim.tracking import MlflowLogger, open_run, resolve_tracking_uri, run_url
        except ModuleNotFoundError as error:
            print(f"{stage}: {error.name} is not installed: the curves are in the CSV only", file=sys.stderr)
            return NullLogger()
        tags = {"git_revision": git_revision()}
        if experiment := os.environ.get("DVC_EXP_NAME"):
            tags["dvc_experiment"] = experiment
        logger = open_run(run, stage, tags, run_id)
        logger.log_params(config.model_dump(mode="json"))
        if isinstance(logger, MlflowLogger) and logger.run_id is not None:
            page = run_url(resolve_tracking_uri(run), logger.experiment_id, logger.run_id)
            watcher.link("Its curves in MLflow", page)
        return logger

    return open_logger


def run_stage(main: Callable[..., None]) -> None:
    """Run a stage's main function on its command line.

    A user's mistake is one line and exit code 1; with what passes by itself the code is `os.EX_TEMPFAIL`.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        with wrap_disk_errors():
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


def hash_lock(lock: Mapping[str, Any]) -> str:
    """Sha256 of dvc.lock's stages but `register`, whose own entry is only written after it has run."""
    stages = {name: stage for name, stage in lock["stages"].items() if name != "register"}
    return hashlib.sha256(json.dumps(stages, sort_keys=True).encode()).hexdigest()


def collect_revision_tags() -> dict[str, str]:
    """What the code and the data were, as tags."""
    lock, tags = Path("dvc.lock"), {"git_revision": git_revision()}
    if lock.exists():
        tags["dvc_lock_sha256"] = hash_lock(YAML(typ="safe", pure=True).load(lock))
    return tags
