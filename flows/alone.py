"""One pipeline run at a time in a folder; and the end of a run that was killed, where it is shown."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from filelock import FileLock, Timeout
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from faceanim.errors import FaceanimError
from faceanim.tables import atomic_path
from flows.api import API_ERRORS

HOME = Path(".faceanim")


@contextmanager
def alone(run_id: UUID) -> Iterator[None]:
    """Be the only pipeline run of this folder; one that was killed is shown as crashed from now on.

    Args:
        run_id: of the flow run that begins.

    Raises:
        FaceanimError: another is at work.
    """
    HOME.mkdir(exist_ok=True)
    try:
        held = FileLock(HOME / "pipeline.lock").acquire(timeout=0)
    except Timeout:
        raise FaceanimError(
            "the pipeline is at work in this folder already; Prefect's page shows that run, and can cancel it"
        ) from None
    with held, marked("pipeline", run_id):
        yield


@contextmanager
def marked(name: str, run_id: UUID) -> Iterator[None]:
    """Leave a mark while a flow run is at work here, by which the next one knows that it was killed.

    Args:
        name: of the flow.
        run_id: of its run that begins.
    """
    mark = HOME / f"{name}-run"
    mark.parent.mkdir(exist_ok=True)
    if mark.exists():
        try:
            bury(UUID(mark.read_text(encoding="ascii")))
        except API_ERRORS as error:
            print(f"Prefect still shows a run that was killed as running ({error})", file=sys.stderr)
    with atomic_path(mark) as temporary:
        temporary.write_text(str(run_id), encoding="ascii")
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def bury(run_id: UUID) -> None:
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
        bury_tasks(client, [each.id for each in (run, *stages)], crashed)


def bury_tasks(client: SyncPrefectClient, flow_run_ids: list[UUID], crashed: State) -> None:
    """Let the task runs that were under way in flow runs be shown as crashed."""
    of_these = FlowRunFilter(id={"any_": flow_run_ids})
    under_way = TaskRunFilter(state={"type": {"any_": ["RUNNING", "PENDING", "SCHEDULED"]}})
    for each in client.read_task_runs(flow_run_filter=of_these, task_run_filter=under_way):
        client.set_task_run_state(each.id, crashed, force=True)
