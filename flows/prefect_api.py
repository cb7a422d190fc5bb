"""Access to the Prefect API: availability, run names and tags, cancellation, and exclusive pipeline runs."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from filelock import FileLock, Timeout
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL
from prefect.states import Crashed

from faceanim.config.params import detect_profile
from faceanim.errors import FaceanimError
from faceanim.loopback import bypass_proxies
from faceanim.tables import atomic_path
from flows.dvc import git_revision

POLL_INTERVAL_S = 3.0
STATE_FOLDER = Path(".faceanim")
API_ERRORS = (httpx.HTTPError, PrefectHTTPStatusError)
"""Exceptions that the client raises if the API does not respond or returns an error."""


class PrefectUnavailableError(Exception):
    """Exception raised before any work is done if the Prefect API does not respond."""


def api_address() -> str | None:
    """Return the URL from the environment or the active Prefect profile; None if none is configured."""
    address: str | None = PREFECT_API_URL.value()
    return address


def is_api_healthy() -> bool:
    """Check whether the API is healthy, with a single request; the client itself would retry for a minute."""
    bypass_proxies()
    try:
        httpx.get(f"{api_address()}/health", timeout=10).raise_for_status()
    except httpx.HTTPError:
        return False
    return True


def build_run_tags() -> list[str]:
    """Build the tags by which a Prefect run can be found: code revision, profile and any DVC experiment."""
    revision, _, changes = git_revision().partition("+")
    tags = [f"git:{revision[:10]}{'+' if changes else ''}", f"profile:{detect_profile()}"]
    if experiment := os.environ.get("DVC_EXP_NAME"):
        tags.append(f"experiment:{experiment}")
    return tags


def format_start() -> str:
    """Format the current time as in the name of every run, such as `Tue 2026-11-24 13:40`."""
    return f"{datetime.now().astimezone():%a %Y-%m-%d %H:%M}"


@contextmanager
def watch_for_cancellation(run_id: UUID, stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` if the flow run is cancelled in the Prefect UI.

    Needed for runs that were not started by a Prefect worker, which would stop them.
    """
    over = threading.Event()

    def poll() -> None:
        with get_client(sync_client=True) as client:
            while not over.wait(POLL_INTERVAL_S):
                try:
                    state = client.read_flow_run(run_id).state
                except API_ERRORS:  # without the server, the run cannot be cancelled either
                    continue
                if state is not None and state.type in (StateType.CANCELLING, StateType.CANCELLED):
                    stop()
                    return

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


@contextmanager
def single_pipeline_run(run_id: UUID) -> Iterator[None]:
    """Hold the lock for pipeline runs in this folder; a previous run that was killed is marked as crashed.

    Args:
        run_id: ID of the flow run that starts.

    Raises:
        FaceanimError: another run is active.
    """
    STATE_FOLDER.mkdir(exist_ok=True)
    try:
        held = FileLock(STATE_FOLDER / "pipeline.lock").acquire(timeout=0)
    except Timeout:
        raise FaceanimError(
            "another pipeline run is active in this folder; the Prefect UI shows it and can cancel it"
        ) from None
    with held, mark_running("pipeline", run_id):
        yield


@contextmanager
def mark_running(name: str, run_id: UUID) -> Iterator[None]:
    """Keep a marker file while a flow run is active, by which the next run detects that it was killed.

    Args:
        name: name of the flow.
        run_id: ID of the run that starts.
    """
    mark = STATE_FOLDER / f"{name}-run"
    mark.parent.mkdir(exist_ok=True)
    if mark.exists():
        try:
            mark_run_crashed(UUID(mark.read_text(encoding="ascii")))
        except API_ERRORS as error:
            print(
                f"cannot mark a killed run as crashed: {error}; Prefect shows it as running", file=sys.stderr
            )
    with atomic_path(mark) as temporary:
        temporary.write_text(str(run_id), encoding="ascii")
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def mark_run_crashed(run_id: UUID) -> None:
    """Mark a flow run whose process was killed as crashed, with its unfinished stages and tasks."""
    crashed: State[Any] = Crashed(message="The process was killed. The next run resumes the work.")
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(run_id)
        except ObjectNotFound:  # another server or another database
            return
        stages = client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id={"any_": [run_id]}))
        for item in (run, *stages):
            if item.state is None or not item.state.is_final():
                client.set_flow_run_state(item.id, crashed, force=True)
        mark_tasks_crashed(client, [item.id for item in (run, *stages)], crashed)


def mark_tasks_crashed(client: SyncPrefectClient, flow_run_ids: list[UUID], crashed: State) -> None:
    """Mark the unfinished task runs of flow runs as crashed."""
    in_flow_runs = FlowRunFilter(id={"any_": flow_run_ids})
    unfinished = TaskRunFilter(state={"type": {"any_": ["RUNNING", "PENDING", "SCHEDULED"]}})
    for task_run in client.read_task_runs(flow_run_filter=in_flow_runs, task_run_filter=unfinished):
        client.set_task_run_state(task_run.id, crashed, force=True)
