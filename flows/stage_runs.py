"""How a stage runs: by the library alone, or shown by Prefect, whose server it does not depend on."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack

from faceanim.config import RunConfig
from faceanim.errors import FaceanimError, TemporaryError, wrap_disk_errors
from faceanim.progress import ProgressCallback, Watcher, show_progress
from faceanim.workers import StageResult, StageWork, make_pool_mapper


def run_sharded_stage(name: str, run: RunConfig, step: StageWork[StageResult]) -> StageResult:
    """Do the work of a stage that goes over many clips.

    With PREFECT_API_URL in the environment it is a flow run of that name with a task per shard. Without it
    Prefect is not even imported: it would start a server of its own, which takes seconds and loses records.
    A server that does not answer costs what it would have shown, never the work: a run of a week outlives it.

    Raises:
        FaceanimError: the disk is full or cannot be written, `run.task_runner` needs a Prefect API, or
            whatever the step says.
    """
    with wrap_disk_errors():
        if api := os.environ.get("PREFECT_API_URL"):
            from flows.prefect_api import PrefectUnavailableError
            from flows.prefect_runs import run_watched_stage

            try:
                return run_watched_stage(name, run, step, api)
            except PrefectUnavailableError as error:
                if run.task_runner != "processes":
                    raise TemporaryError(f"run.task_runner is {run.task_runner}, but {error}") from None
                warn_unwatched(name, error)
        elif run.task_runner != "processes":
            raise FaceanimError(
                f"run.task_runner is {run.task_runner}, which needs a Prefect API: `make ui` starts one and "
                "says which PREFECT_API_URL to set"
            )
        with show_progress(name) as on_progress:
            return step(make_pool_mapper(run), on_progress)


def run_single_stage(name: str, step: Callable[[Watcher], StageResult]) -> StageResult:
    """Do the work of a stage that is one piece: a training, an evaluation.

    It is shown as a flow run too, but Prefect's engine stays out of its process, whose data loaders fork.

    Raises:
        FaceanimError: the disk is full or cannot be written, or whatever the step says.
    """
    if os.environ.get("RANK", "0") != "0":  # of the processes that torchrun starts, one tells
        return step(TerminalWatcher(lambda done, total, note="": None))
    with wrap_disk_errors(), ExitStack() as stack:
        watcher: Watcher = TerminalWatcher(stack.enter_context(show_progress(name)))
        if api := os.environ.get("PREFECT_API_URL"):
            from flows.prefect_api import PrefectUnavailableError
            from flows.prefect_runs import report_run

            try:
                watcher = stack.enter_context(report_run(name, watcher, api))
            except PrefectUnavailableError as error:
                warn_unwatched(name, error)
        return step(watcher)


def warn_unwatched(name: str, error: Exception) -> None:
    """Say that a stage goes on without Prefect."""
    print(f"{name}: {error}; going on without it", file=sys.stderr)


class TerminalWatcher:
    """Progress in the terminal alone."""

    def __init__(self, on_progress: ProgressCallback) -> None:
        self._on_progress = on_progress

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total` items are finished."""
        self._on_progress(done, total, note)

    def link(self, text: str, address: str) -> None:
        """Nothing: the terminal has said where the curves are."""
