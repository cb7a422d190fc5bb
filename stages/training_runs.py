"""Code shared by the two training stages: progress, MLflow logging, and the folder of unfinished runs."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from lightning_fabric.utilities.rank_zero import rank_zero_only

from faceanim.config import RunConfig, Section
from faceanim.progress import NullLogger, OpenLogger, RunLogger, Watcher
from faceanim.tables import write_json
from faceanim.training.monitoring import RunContext, StepReport
from flows.dvc import git_revision
from flows.stage_runs import run_single_stage

CHECKPOINTS = Path(".faceanim")
CheckpointsOption = Annotated[Path, typer.Option(help="Folder for the state of an unfinished run.")]


def run_training(
    stage: str,
    run: RunConfig,
    config: Section,
    train: Callable[[RunContext], dict[str, float]],
    metrics: Path,
) -> None:
    """Run a training as a stage, and write the last row of its curves.

    Args:
        stage: name of the stage, and of its MLflow run.
        run: parameters of the run: number of workers and MLflow's address.
        config: parameters of the training, logged to MLflow.
        train: function that trains and returns the last row of the curves.
        metrics: JSON file to write that row to; only rank 0 writes.
    """

    def with_watcher(watcher: Watcher) -> dict[str, float]:
        return train(make_run_context(stage, run, config, watcher))

    last_row = run_single_stage(stage, with_watcher)
    rank_zero_only(write_json)(last_row, metrics)


def make_run_context(stage: str, run: RunConfig, config: Section, watcher: Watcher) -> RunContext:
    """Connect a training to the progress display, and to MLflow if it is installed."""

    def on_step(report: StepReport) -> None:
        watcher(report.step, report.total, report.to_line())

    return RunContext(run.workers, make_logger_opener(stage, run, config, watcher), on_step)


def make_logger_opener(stage: str, run: RunConfig, config: Section, watcher: Watcher) -> OpenLogger:
    """Make a function that opens the MLflow run of a training, named like its stage."""

    def open_logger(run_id: str | None) -> RunLogger:
        try:
            from faceanim.tracking import MlflowLogger, open_run, resolve_tracking_uri, run_url
        except ModuleNotFoundError as error:
            print(f"{stage}: {error.name} is not installed; the curves go to the CSV only", file=sys.stderr)
            return NullLogger()
        tags = {"git_revision": git_revision()}
        if experiment := os.environ.get("DVC_EXP_NAME"):
            tags["dvc_experiment"] = experiment
        logger = open_run(run, stage, tags, run_id)
        logger.log_params(config.model_dump(mode="json"))
        if isinstance(logger, MlflowLogger) and logger.run_id is not None:
            page = run_url(resolve_tracking_uri(run), logger.experiment_id, logger.run_id)
            watcher.link("Training curves in MLflow", page)
        return logger

    return open_logger
