"""What both training stages share: who reads the batches, and who is told."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from lightning_fabric.utilities.rank_zero import rank_zero_only

from faceanim.config import RunConfig, Section
from faceanim.progress import progress
from faceanim.training.logger import NullLogger, OpenLogger, RunLogger
from faceanim.training.report import Report, Surroundings
from stages.common import git_revision


@contextmanager
def surroundings(stage: str, run: RunConfig, config: Section) -> Iterator[Surroundings]:
    """Show a training's progress in the terminal, and send its curves to MLflow where that is installed."""
    # Of the processes that torchrun starts, one draws a bar.
    shown = progress(stage) if rank_zero_only.rank == 0 else nullcontext(lambda done, total, note: None)
    with shown as on_progress:

        def on_step(report: Report) -> None:
            on_progress(report.step, report.total, report.note())

        yield Surroundings(run.workers, mlflow_logger(stage, run, config), on_step)


def mlflow_logger(stage: str, run: RunConfig, config: Section) -> OpenLogger:
    """What opens a run in MLflow, named like the stage."""

    def open_logger(run_id: str | None) -> RunLogger:
        try:
            from faceanim.tracking import open_run
        except ModuleNotFoundError as error:
            print(f"{stage}: {error.name} is not installed: the curves are in the CSV only", file=sys.stderr)
            return NullLogger()
        tags = {"git_revision": git_revision()}
        if experiment := os.environ.get("DVC_EXP_NAME"):
            tags["dvc_experiment"] = experiment
        logger = open_run(run, stage, tags, run_id)
        logger.params(config.model_dump(mode="json"))
        return logger

    return open_logger
