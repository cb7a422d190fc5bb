"""How far a stage has come, on Prefect's page; told behind the work, which never waits for a server."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client

from faceanim.progress import OnProgress
from flows.api import API_ERRORS

TELL_EVERY_S = 2.0
LAST_WORD_S = 10.0
"""That a stage waits at its end for what it has told to arrive."""
REST_S = 60.0
"""For which a server that does not answer is left alone."""


class Page:
    """What a flow run's page shows of its progress, brought up to date by a thread of its own.

    Args:
        name: of the stage; the artifacts' keys are made of it.
        flow_run_id: of the page.
        in_terminal: is told the same.
    """

    def __init__(self, name: str, flow_run_id: UUID, in_terminal: OnProgress) -> None:
        self._name = name.replace("_", "-")
        self._flow_run_id = str(flow_run_id)
        self._in_terminal = in_terminal
        self._began: tuple[float, int] | None = None
        self._bar: dict[str, Any] | None = None
        self._bar_id: str | None = None
        self._links: list[tuple[str, str]] = []
        self._ended = threading.Event()

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total` items are finished."""
        self._in_terminal(done, total, note)
        now = time.monotonic()
        if self._began is None:
            self._began = (now, done)
        text = describe(done, total, note, done - self._began[1], now - self._began[0])
        self._bar = {"data": 100.0 * done / total if total else 100.0, "description": text}

    def link(self, text: str, address: str) -> None:
        """Show a link."""
        self._links.append((text, address))

    @contextmanager
    def telling(self) -> Iterator["Page"]:
        """Tell the server every now and then until the block ends, and then once more."""
        thread = threading.Thread(target=self._tell_on, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join(LAST_WORD_S)

    def _tell_on(self) -> None:
        told = None
        with get_client(sync_client=True) as client:
            ended = False
            while not ended:
                ended = self._ended.wait(TELL_EVERY_S)
                try:
                    while self._links:
                        text, address = self._links[0]
                        self._make(client, "markdown", "link", data=f"[{text}]({address})", description=text)
                        del self._links[0]
                    if self._bar is not None and self._bar is not told:
                        told = self._tell_bar(client, self._bar)
                except API_ERRORS:
                    ended = ended or self._ended.wait(REST_S)

    def _tell_bar(self, client: SyncPrefectClient, bar: dict[str, Any]) -> dict[str, Any]:
        if self._bar_id is None:
            self._bar_id = self._make(client, "progress", "progress", **bar)
        else:
            client.request("PATCH", "/artifacts/{id}", json=bar, path_params={"id": self._bar_id})
        return bar

    def _make(self, client: SyncPrefectClient, kind: str, suffix: str, **values: Any) -> str:
        """Make an artifact; not by `client.create_artifact`, whose events start threads that break a fork."""
        about = {"key": f"{self._name}-{suffix}", "type": kind, "flow_run_id": self._flow_run_id}
        made: str = client.request("POST", "/artifacts/", json=about | values).json()["id"]
        return made


def describe(done: int, total: int, note: str, lately: int, seconds: float) -> str:
    """Progress in a line: what is done, how fast that goes, and how long the rest will take.

    Args:
        done: of `total`.
        total: all.
        note: what else there is to say.
        lately: how many of those done were done in `seconds`; the others were before.
        seconds: since the first word.
    """
    parts = [f"{done} of {total}"]
    if lately and seconds > 0:
        rate = lately / seconds
        parts.append(f"{rate:.1f} a second" if rate >= 1 else f"{60 * rate:.1f} a minute")
        if done < total:
            parts.append(f"{duration((total - done) / rate)} left")
    return ", ".join(parts + [note] * bool(note))


def duration(seconds: float) -> str:
    """A time in words, such as `2 h 05 min`."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min"
