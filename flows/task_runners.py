"""Prefect task runners for the values of `run.task_runner`."""

import logging
import os
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from faceanim.config import RunConfig
from faceanim.errors import FaceanimError


def create_task_runner(run: RunConfig) -> TaskRunner[Any]:
    """Create a task runner: threads that wait for the process pool, or a Dask or Ray cluster.

    Raises:
        FaceanimError: the extra of that name is not installed.
    """
    try:
        match run.task_runner:
            case "dask":
                return create_dask_runner(run)
            case "ray":
                return create_ray_runner(run)
            case "processes":
                return ThreadPoolTaskRunner(max_workers=run.workers)
    except ModuleNotFoundError as error:
        raise FaceanimError(
            f"run.task_runner is {run.task_runner}, but {error.name} is not installed; "
            f"pip install -e '.[{run.task_runner}]'"
        ) from None


def create_dask_runner(run: RunConfig) -> TaskRunner[Any]:
    """Create a Dask runner: the workers of `run.cluster`, or `run.workers` processes on this machine."""
    from prefect_dask.task_runners import DaskTaskRunner

    logging.getLogger("distributed").setLevel(logging.WARNING)  # it logs every connection
    local = {
        "n_workers": run.workers,
        "threads_per_worker": 1,
        "host": "127.0.0.1",
        "dashboard_address": "127.0.0.1:0",  # listens on all interfaces by default
    }
    options = {"address": run.cluster} if run.cluster else {"cluster_kwargs": local}
    runner: TaskRunner[Any] = DaskTaskRunner(**options)
    return runner


def create_ray_runner(run: RunConfig) -> TaskRunner[Any]:
    """Create a Ray runner: the workers of `run.cluster`, or `run.workers` processes on this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    if not run.cluster:
        # On Linux, Ray's servers listen on all interfaces by default. This variable, despite its name, makes
        # them listen on loopback.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    from prefect_ray import RayTaskRunner

    options: dict[str, Any] = {"logging_level": logging.ERROR}
    if not run.cluster:
        options |= {"num_cpus": run.workers, "include_dashboard": False}
    runner: TaskRunner[Any] = RayTaskRunner(address=run.cluster or None, init_kwargs=options)
    return runner
