"""A stage as a flow run that only tells of itself: through Prefect's API, without its engine."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import Flow, State
from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Completed, Failed, Running

from faceanim.errors import FaceanimError
from faceanim.progress import OnProgress
from flows.alone import marked
from flows.api import API_ERRORS
from flows.progress import Page
from flows.stage import NotBegunError, Watcher
from flows.watched import new_run


def no_code() -> None:
    """Stands for what this process does, which Prefect does not call."""


@contextmanager
def reported(name: str, in_terminal: OnProgress, api: str) -> Iterator[Watcher]:
    """Show what the block does as a flow run of that name.

    Raises:
        NotBegunError: the API does not answer.
    """
    try:
        run_id = new_run(Flow(fn=no_code, name=name), Running()).id
    except API_ERRORS as error:
        raise NotBegunError(f"the Prefect API at {api} does not answer ({error})") from None
    state: State[Any] = Completed(message="done")
    try:
        with marked(name, run_id), Page(name, run_id, in_terminal).telling() as page:
            yield page
    except FaceanimError as error:
        state = Failed(message=str(error))
        raise
    except Exception as error:
        state = Failed(message=f"{type(error).__name__}: {error}")
        raise
    except BaseException as error:
        state = Cancelled(message=f"{type(error).__name__}; the next run goes on from where it was")
        raise
    finally:
        try:
            with get_client(sync_client=True) as client:
                client.set_flow_run_state(run_id, state, force=True)
        except API_ERRORS:
            print(f"{name}: the Prefect API at {api} went away; its page is out of date", file=sys.stderr)
