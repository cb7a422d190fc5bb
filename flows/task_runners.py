"""The Prefect task runner that `run.task_runner` names."""

import logging
import os
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from faceanim.config import RunConfig
from faceanim.errors import FaceanimError


def create_task_runner(run: RunConfig) -> TaskRunner[Any]:
    """A new task runner: threads that wait for the process pool, or a Dask or Ray cluster.

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
            f"run.task_runner is {run.task_runner}, and {error.name} is not installed: "
            f"pip install -e '.[{run.task_runner}]'"
        ) from None


def create_dask_runner(run: RunConfig) -> TaskRunner[Any]:
    """Dask: a scheduler's workers, or as many processes of this machine as params.yaml has workers."""
    from prefect_dask.task_runners import DaskTaskRunner

    logging.getLogger("distributed").setLevel(logging.WARNING)  # it tells of every connection
    here = {
        "n_workers": run.workers,
        "threads_per_worker": 1,
        "host": "127.0.0.1",
        "dashboard_address": "127.0.0.1:0",  # its default is every address of the machine
    }
    given = {"address": run.cluster} if run.cluster else {"cluster_kwargs": here}
    runner: TaskRunner[Any] = DaskTaskRunner(**given)
    return runner


def create_ray_runner(run: RunConfig) -> TaskRunner[Any]:
    """Ray: a head's workers, or as many processes of this machine as params.yaml has workers."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    if not run.cluster:
        # Its servers listen on every address of a Linux machine otherwise; with this, whose name tells of
        # other systems, on loopback.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    from prefect_ray import RayTaskRunner

    options: dict[str, Any] = {"logging_level": logging.ERROR}
    if not run.cluster:
        options |= {"num_cpus": run.workers, "include_dashboard": False}
    runner: TaskRunner[Any] = RayTaskRunner(address=run.cluster or None, init_kwargs=options)
    return runner
