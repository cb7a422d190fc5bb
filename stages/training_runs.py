"""Code shared by the two training stages: progress, MLflow logging, and the folder of unfinished runs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from lightning_fabric.utilities.rank_zero import rank_zero_only

from faceanim.config import RunConfig, Section
from faceanim.mlflow_address import resolve_tracking_uri, run_url
from faceanim.progress import NullLogger, OpenLogger, RunLogger, Watcher
from faceanim.tables import write_json
from faceanim.training.monitoring import RunContext, StepReport
from flows.stage_runs import run_single_stage
from stages.common import collect_code_tags

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
        stage: name of the stage.
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
    """Make a function that opens the MLflow run of a training, named after its stage and revision."""

    def open_logger(run_id: str | None) -> RunLogger:
        try:
            from faceanim.tracking import MlflowLogger, name_run, open_run
        except ModuleNotFoundError as error:
            print(f"{stage}: {error.name} is not installed; the curves go to the CSV only", file=sys.stderr)
            return NullLogger()
        tags = collect_code_tags()
        logger = open_run(run, name_run(stage, tags), tags, run_id)
        logger.log_params(config.model_dump(mode="json"))
        if isinstance(logger, MlflowLogger) and logger.run_id is not None:
            page = run_url(resolve_tracking_uri(run), logger.experiment_id, logger.run_id)
            watcher.link("Training curves in MLflow", page)
        return logger

    return open_logger
