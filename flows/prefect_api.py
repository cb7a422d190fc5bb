"""Prefect's API: whether it answers, and what it raises where it does not."""

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
from faceanim.tables import atomic_path
from flows.dvc import git_revision

POLL_INTERVAL_S = 3.0


@contextmanager
def watch_for_cancellation(run_id: UUID, stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` when somebody cancels the flow run on Prefect's page."""
    over = threading.Event()

    def look() -> None:
        with get_client(sync_client=True) as client:
            while not over.wait(POLL_INTERVAL_S):
                try:
                    state = client.read_flow_run(run_id).state
                except API_ERRORS:  # nobody can cancel where there is no page
                    continue
                if state is not None and state.type in (StateType.CANCELLING, StateType.CANCELLED):
                    stop()
                    return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


STATE_FOLDER = Path(".faceanim")


@contextmanager
def single_pipeline_run(run_id: UUID) -> Iterator[None]:
    """Be the only pipeline run of this folder; one that was killed is shown as crashed from now on.

    Args:
        run_id: of the flow run that begins.

    Raises:
        FaceanimError: another is at work.
    """
    STATE_FOLDER.mkdir(exist_ok=True)
    try:
        held = FileLock(STATE_FOLDER / "pipeline.lock").acquire(timeout=0)
    except Timeout:
        raise FaceanimError(
            "the pipeline is at work in this folder already; Prefect's page shows that run, and can cancel it"
        ) from None
    with held, mark_running("pipeline", run_id):
        yield


@contextmanager
def mark_running(name: str, run_id: UUID) -> Iterator[None]:
    """Leave a mark while a flow run is at work here, by which the next one knows that it was killed.

    Args:
        name: of the flow.
        run_id: of its run that begins.
    """
    mark = STATE_FOLDER / f"{name}-run"
    mark.parent.mkdir(exist_ok=True)
    if mark.exists():
        try:
            mark_run_crashed(UUID(mark.read_text(encoding="ascii")))
        except API_ERRORS as error:
            print(f"Prefect still shows a run that was killed as running ({error})", file=sys.stderr)
    with atomic_path(mark) as temporary:
        temporary.write_text(str(run_id), encoding="ascii")
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def mark_run_crashed(run_id: UUID) -> None:
    """Let a flow run whose process was killed, and what was under way in it, be shown as crashed."""
    crashed: State[Any] = Crashed(message="Its process was killed. The next run goes on from where it was.")
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(run_id)
        except ObjectNotFound:  # another server, or another database
            return
        stages = client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id={"any_": [run_id]}))
        for each in (run, *stages):
            if each.state is None or not each.state.is_final():
                client.set_flow_run_state(each.id, crashed, force=True)
        mark_tasks_crashed(client, [each.id for each in (run, *stages)], crashed)


def mark_tasks_crashed(client: SyncPrefectClient, flow_run_ids: list[UUID], crashed: State) -> None:
    """Let the task runs that were under way in flow runs be shown as crashed."""
    of_these = FlowRunFilter(id={"any_": flow_run_ids})
    under_way = TaskRunFilter(state={"type": {"any_": ["RUNNING", "PENDING", "SCHEDULED"]}})
    for each in client.read_task_runs(flow_run_filter=of_these, task_run_filter=under_way):
        client.set_task_run_state(each.id, crashed, force=True)


def build_run_tags() -> list[str]:
    """Tags of a run of Prefect: the code, the parameters, and the DVC experiment if it is one."""
    revision, _, changes = git_revision().partition("+")
    tags = [f"git:{revision[:10]}{'+' if changes else ''}", f"profile:{detect_profile()}"]
    if experiment := os.environ.get("DVC_EXP_NAME"):
        tags.append(f"experiment:{experiment}")
    return tags


def format_start() -> str:
    """What every run's name has: when it began, such as `Tue 2026-11-24 13:40`."""
    return f"{datetime.now().astimezone():%a %Y-%m-%d %H:%M}"


API_ERRORS = (httpx.HTTPError, PrefectHTTPStatusError)
"""What the client raises when the API does not answer, or not as it should."""


def api_address() -> str | None:
    """The address, from the environment or the active Prefect profile; None where none is configured."""
    address: str | None = PREFECT_API_URL.value()
    return address


def is_api_healthy() -> bool:
    """Whether the API is well, asked once; the client itself asks for a minute."""
    try:
        httpx.get(f"{api_address()}/health", timeout=10).raise_for_status()
    except httpx.HTTPError:
        return False
    return True


class PrefectUnavailableError(Exception):
    """There is no Prefect API to be shown by; nothing has been done yet."""
