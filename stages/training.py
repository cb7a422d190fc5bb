"""What both training stages share: who reads the batches, and who is told."""

import os
import sys

from faceanim.config import RunConfig, Section
from faceanim.training.logger import NullLogger, OpenLogger, RunLogger
from faceanim.training.report import Report, Surroundings
from flows.links import run_page
from flows.names import git_revision
from flows.stage import Watcher


def surroundings(stage: str, run: RunConfig, config: Section, watcher: Watcher) -> Surroundings:
    """Tell of a training's progress, and send its curves to MLflow where that is installed."""

    def on_step(report: Report) -> None:
        watcher(report.step, report.total, report.note())

    return Surroundings(run.workers, mlflow_logger(stage, run, config, watcher), on_step)


def mlflow_logger(stage: str, run: RunConfig, config: Section, watcher: Watcher) -> OpenLogger:
    """What opens a run in MLflow, named like the stage."""

    def open_logger(run_id: str | None) -> RunLogger:
        try:
            from faceanim.tracking import MlflowLogger, open_run, tracking_uri
        except ModuleNotFoundError as error:
            print(f"{stage}: {error.name} is not installed: the curves are in the CSV only", file=sys.stderr)
            return NullLogger()
        tags = {"git_revision": git_revision()}
        if experiment := os.environ.get("DVC_EXP_NAME"):
            tags["dvc_experiment"] = experiment
        logger = open_run(run, stage, tags, run_id)
        logger.params(config.model_dump(mode="json"))
        if isinstance(logger, MlflowLogger) and logger.run_id is not None:
            page = run_page(tracking_uri(run), logger.experiment_id, logger.run_id)
            watcher.link("Its curves in MLflow", page)
        return logger

    return open_logger
