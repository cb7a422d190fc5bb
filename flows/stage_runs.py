"""Running a stage, with or without Prefect; the work never depends on its server."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack

from faceanim.config import RunConfig
from faceanim.errors import FaceanimError, TemporaryError, wrap_disk_errors
from faceanim.progress import ProgressCallback, Watcher, show_progress
from faceanim.workers import StageResult, StageWork, make_pool_mapper


def run_sharded_stage(name: str, run: RunConfig, step: StageWork[StageResult]) -> StageResult:
    """Run a stage that processes many clips in shards.

    If PREFECT_API_URL is set, the stage is a flow run of that name with a task per shard. Otherwise Prefect
    is not even imported: it would start a temporary server, which takes seconds and loses records. If the
    server does not respond, only its display is lost, never the work: a run of a week outlives the server.

    Raises:
        FaceanimError: the disk is full or not writable, `run.task_runner` needs a Prefect API, or the step
            raised it.
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
                "prints the PREFECT_API_URL to set"
            )
        with show_progress(name) as on_progress:
            return step(make_pool_mapper(run), on_progress)


def run_single_stage(name: str, step: Callable[[Watcher], StageResult]) -> StageResult:
    """Run a stage that is not divided into shards: a training or an evaluation.

    It is shown as a flow run too, but without Prefect's engine in its process, whose data loaders fork.

    Raises:
        FaceanimError: the disk is full or not writable, or the step raised it.
    """
    if os.environ.get("RANK", "0") != "0":  # of the processes started by torchrun, only rank 0 reports
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
    """Print a warning that a stage continues without Prefect."""
    print(f"{name}: {error}; continuing without it", file=sys.stderr)


class TerminalWatcher:
    """Watcher that shows progress in the terminal only."""

    def __init__(self, on_progress: ProgressCallback) -> None:
        self._on_progress = on_progress

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` items are finished."""
        self._on_progress(done, total, note)

    def link(self, text: str, address: str) -> None:
        """Ignore the link: the location of the curves has been printed."""
