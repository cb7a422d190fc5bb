"""Stages as Prefect flow runs, with their progress and a task per shard."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import Flow, State, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.exceptions import ObjectNotFound
from prefect.flow_engine import run_flow
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed, Pending, Running

from faceanim.config import RunConfig
from faceanim.errors import FaceanimError, TemporaryError, wrap_disk_errors
from faceanim.progress import ProgressCallback, Watcher, show_progress
from faceanim.workers import Item, MapShards, Result, ShardJob, ShardPool, StageResult, StageWork, run_shard
from flows.artifacts import ProgressPage
from flows.prefect_api import API_ERRORS, PrefectUnavailableError, build_run_tags, format_start, mark_running
from flows.task_runners import create_task_runner

PARENT_VARIABLE = "FACEANIM_STAGE_TASK"
"""Environment variable with the ID of the pipeline's task run that a stage belongs to."""
PARENT_WAIT_S = 15.0
"""Timeout for the server to record that task run, which happens asynchronously."""
RETRY_DELAYS_S = [2.0, 30.0]
"""Delays before the retries of a shard that failed with a transient error."""


def run_watched_stage(name: str, run: RunConfig, step: StageWork[StageResult], api: str) -> StageResult:
    """Run the work of a stage as a flow run.

    Raises:
        PrefectUnavailableError: the API does not respond, and no work has been done.
        FaceanimError: raised by the step.
    """
    started: list[bool] = []
    outcome: list[StageResult] = []
    failures: list[Exception] = []

    def stage() -> State[Any]:
        started.append(True)
        try:
            with show_run(name) as page, open_shard_mapper(name, run) as map_shards:
                outcome.append(step(map_shards, page))
        except FaceanimError as error:  # the message becomes the state's; a traceback would bury it
            failures.append(error)
            return Failed(message=str(error))
        except Exception as error:
            failures.append(error)
            raise
        return Completed(message="done")

    stage_flow = flow(name=name, task_runner=create_task_runner(run), persist_result=False)(stage)
    try:
        with wrap_cluster_errors(run):  # raised by Ray, before the step starts
            run_flow(stage_flow, create_run(stage_flow, Pending()), return_type="state")
    except API_ERRORS as error:
        if not started:
            raise PrefectUnavailableError(f"the Prefect API at {api} does not respond ({error})") from None
        print(
            f"{name}: lost connection to the Prefect API at {api}; its page is out of date", file=sys.stderr
        )
    if failures:
        raise failures[0]
    if not outcome:
        raise FaceanimError(f"{name}: Prefect did not start the run; its page gives the reason")
    return outcome[0]


@contextmanager
def report_run(name: str, in_terminal: ProgressCallback, api: str) -> Iterator[Watcher]:
    """Report the block as a flow run of that name, through Prefect's API and without its engine.

    Raises:
        PrefectUnavailableError: the API does not respond.
    """
    try:
        run_id = create_run(Flow(fn=noop, name=name), Running()).id
    except API_ERRORS as error:
        raise PrefectUnavailableError(f"the Prefect API at {api} does not respond ({error})") from None
    state: State[Any] = Completed(message="done")
    try:
        with mark_running(name, run_id), ProgressPage(name, run_id, in_terminal).publishing() as page:
            yield page
    except FaceanimError as error:
        state = Failed(message=str(error))
        raise
    except Exception as error:
        state = Failed(message=f"{type(error).__name__}: {error}")
        raise
    except BaseException as error:
        state = Cancelled(message=f"{type(error).__name__}; the next run resumes where this one ended")
        raise
    finally:
        try:
            with get_client(sync_client=True) as client:
                client.set_flow_run_state(run_id, state, force=True)
        except API_ERRORS:
            print(
                f"{name}: lost connection to the Prefect API at {api}; its page is out of date",
                file=sys.stderr,
            )


def noop() -> None:
    """Stand in for the work of this process, which Prefect does not call."""


@contextmanager
def show_run(name: str) -> Iterator[ProgressPage]:
    """Show progress in the terminal and on the page of the current flow run, and mark the run as active."""
    run_id = UUID(flow_run.id)
    with ExitStack() as stack:
        stack.enter_context(wrap_disk_errors())
        in_terminal = stack.enter_context(show_progress(name))
        stack.enter_context(mark_running(name, run_id))
        yield stack.enter_context(ProgressPage(name, run_id, in_terminal).publishing())


def create_run(stage_flow: Flow[..., Any], state: State[Any]) -> FlowRun:
    """Create a flow run with a name and tags, below the pipeline's task if there is one."""
    with get_client(sync_client=True) as client:
        return client.create_flow_run(
            stage_flow,
            name=format_start(),
            tags=build_run_tags(),
            parent_task_run_id=find_parent_task(client),
            state=state,
        )


def find_parent_task(client: SyncPrefectClient) -> UUID | None:
    """Return the pipeline's task run that this stage belongs to, once the server has recorded it, or None."""
    if PARENT_VARIABLE not in os.environ:
        return None
    parent, deadline = UUID(os.environ[PARENT_VARIABLE]), time.monotonic() + PARENT_WAIT_S
    while time.monotonic() < deadline:
        try:
            client.read_task_run(parent)
        except ObjectNotFound:
            time.sleep(0.3)
        else:
            return parent
    return None


@contextmanager
def open_shard_mapper(name: str, run: RunConfig) -> Iterator[MapShards]:
    """Open a `MapShards` that runs each shard as a task, in processes of this machine or on the cluster."""
    if run.task_runner != "processes":
        yield make_cluster_task_mapper(name, run)
        return
    with ShardPool(run) as pool:
        yield make_pool_task_mapper(name, pool)


def make_pool_task_mapper(name: str, pool: ShardPool) -> MapShards:
    """Make a `MapShards` of tasks that wait, in threads, for the processes of a pool."""

    def map_shards(job: ShardJob[Item, Result], shards: Sequence[Sequence[Item]]) -> Iterator[list[Result]]:
        failures: list[FaceanimError] = []

        @task(**task_options(name, len(shards)))
        def shard(number: int) -> Any:
            if failures:
                return Cancelled(message="not started: another shard ended the run")
            try:
                with wrap_disk_errors():
                    return pool.schedule(job, shards[number - 1])()
            except FaceanimError as error:  # no traceback in the log, and no retry
                failures.append(error)
                return Failed(message=str(error))

        futures = [shard.submit(number) for number in range(1, len(shards) + 1)]
        for future in futures:
            future.wait()
            if failures:
                raise failures[0]
            yield future.result()

    return map_shards


def make_cluster_task_mapper(name: str, run: RunConfig) -> MapShards:
    """Make a `MapShards` of tasks that send their shard to another machine, which shares this folder."""

    def map_shards(job: ShardJob[Item, Result], shards: Sequence[Sequence[Item]]) -> Iterator[list[Result]]:
        shard_task = task(run_remote_shard, **task_options(name, len(shards)))
        # Partials, because Prefect would visit every item of a plain argument to look for futures.
        calls = [partial(run_shard, run, job, shard, Path.cwd()) for shard in shards]
        with wrap_cluster_errors(run):  # raised by the first submission
            futures = [shard_task.submit(number, call) for number, call in enumerate(calls, start=1)]
        for future in futures:
            yield future.result()

    return map_shards


@contextmanager
def wrap_cluster_errors(run: RunConfig) -> Iterator[None]:
    """Turn connection errors of a cluster into a one-line message.

    Raises:
        TemporaryError: the cluster does not respond; it may be back later.
    """
    try:
        yield
    except OSError as error:
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise TemporaryError(f"run.cluster: cannot connect to {run.cluster}: {line}") from error


def run_remote_shard(number: int, call: Callable[[], list[Result]]) -> list[Result]:
    """Run shard `number` on a machine of the cluster."""
    with wrap_disk_errors():
        return call()


def task_options(name: str, total: int) -> dict[str, Any]:
    """Return the options that all tasks of shards have in common."""
    return {
        "name": f"{name}-shard",
        "task_run_name": f"{name} shard {{number}} of {total}",
        "cache_policy": NO_CACHE,
        "persist_result": False,
        "retries": len(RETRY_DELAYS_S),
        "retry_delay_seconds": RETRY_DELAYS_S,
        "retry_condition_fn": is_transient_failure,
    }


def is_transient_failure(task: Any, task_run: TaskRun, state: State[Any]) -> bool:
    """Check whether a task failed with a transient error.

    This includes every OSError: `wrap_disk_errors` has already converted those that a full disk raises.
    """
    return isinstance(state.result(raise_on_failure=False), (OSError, TemporaryError))
