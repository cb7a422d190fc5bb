"""Cancelling on Prefect's page, for runs that no Prefect worker has started and could stop."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType

from flows.api import API_ERRORS

LOOK_EVERY_S = 3.0


@contextmanager
def heeding_the_page(run_id: UUID, stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` when somebody cancels the flow run on Prefect's page."""
    over = threading.Event()

    def look() -> None:
        with get_client(sync_client=True) as client:
            while not over.wait(LOOK_EVERY_S):
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
