"""What came of a stage, as tables and links on the page of its task; read from the reports it wrote."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from rich.filesize import decimal

from faceanim.config import Params, load_params
from faceanim.errors import FaceanimError
from faceanim.evaluation.protocol import METRICS, MethodName, Task, test_set_id
from faceanim.progress import ProgressCallback
from faceanim.tables import flatten_keys
from flows.prefect_api import API_ERRORS, is_api_healthy

UPDATE_INTERVAL_S = 2.0
FLUSH_TIMEOUT_S = 10.0
"""That a stage waits at its end for what it has told to arrive."""
RETRY_AFTER_S = 60.0
"""For which a server that does not answer is left alone."""


class ProgressPage:
    """What a flow run's page shows of its progress, brought up to date by a thread of its own.

    Args:
        name: of the stage; the artifacts' keys are made of it.
        flow_run_id: of the page.
        in_terminal: is told the same.
    """

    def __init__(self, name: str, flow_run_id: UUID, in_terminal: ProgressCallback) -> None:
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
        text = describe_progress(done, total, note, done - self._began[1], now - self._began[0])
        self._bar = {"data": 100.0 * done / total if total else 100.0, "description": text}

    def link(self, text: str, address: str) -> None:
        """Show a link."""
        self._links.append((text, address))

    @contextmanager
    def publishing(self) -> Iterator["ProgressPage"]:
        """Tell the server every now and then until the block ends, and then once more."""
        thread = threading.Thread(target=self._publish_updates, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join(FLUSH_TIMEOUT_S)

    def _publish_updates(self) -> None:
        told = None
        with get_client(sync_client=True) as client:
            ended = False
            while not ended:
                ended = self._ended.wait(UPDATE_INTERVAL_S)
                try:
                    while self._links:
                        text, address = self._links[0]
                        self._create_artifact(
                            client, "markdown", "link", data=f"[{text}]({address})", description=text
                        )
                        del self._links[0]
                    if self._bar is not None and self._bar is not told:
                        told = self._publish_bar(client, self._bar)
                except API_ERRORS:
                    ended = ended or self._ended.wait(RETRY_AFTER_S)

    def _publish_bar(self, client: SyncPrefectClient, bar: dict[str, Any]) -> dict[str, Any]:
        if self._bar_id is None:
            self._bar_id = self._create_artifact(client, "progress", "progress", **bar)
        else:
            client.request("PATCH", "/artifacts/{id}", json=bar, path_params={"id": self._bar_id})
        return bar

    def _create_artifact(self, client: SyncPrefectClient, kind: str, suffix: str, **values: Any) -> str:
        """Make an artifact; not by `client.create_artifact`, whose events start threads that break a fork."""
        about = {"key": f"{self._name}-{suffix}", "type": kind, "flow_run_id": self._flow_run_id}
        made: str = client.request("POST", "/artifacts/", json=about | values).json()["id"]
        return made


def describe_progress(done: int, total: int, note: str, lately: int, seconds: float) -> str:
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
            parts.append(f"{format_duration((total - done) / rate)} left")
    return ", ".join(parts + [note] * bool(note))


def format_duration(seconds: float) -> str:
    """A time in words, such as `2 h 05 min`."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min"


REPORTS = Path("reports")
BASELINES = (MethodName.COPY_SOURCE, MethodName.LANDMARK_WARP)


def publish_results(stage: str) -> None:
    """Show what came of a stage, if it is one of those that have something to show."""
    show = PUBLISHERS.get(stage)
    if show is None:
        return
    try:
        if is_api_healthy():
            show(load_params())
    except API_ERRORS as error:
        get_run_logger().warning("Prefect does not take the tables of %s: %s", stage, error)


def read_report(name: str) -> dict[str, Any]:
    """One of the reports."""
    found: dict[str, Any] = json.loads((REPORTS / name).read_text(encoding="utf-8"))
    return found


def build_outcome_rows(counts: Mapping[str, int], what: str) -> list[dict[str, Any]]:
    """Rows of a table of outcomes, the most frequent first."""
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"outcome": outcome, what: count, "share": f"{count / total:.1%}"} for outcome, count in ordered]


def show_download(params: Params) -> None:
    """Videos by outcome."""
    report = read_report("download.json")
    text = (
        f"{report['clips_ok']:,} of {report['clips']:,} clips have their video: "
        f"{decimal(report['bytes'])}, {format_duration(report['seconds'])} in all."
    )
    if passing := report["passing"]:
        text += f" To try again what may pass: `faceanim retry {' '.join(passing)}`, then run this again."
    create_table_artifact(
        build_outcome_rows(report["videos"], "videos"), key="download-outcomes", description=text
    )


def show_crop(params: Params) -> None:
    """Sequences by outcome, with their frames."""
    report = read_report("crop.json")
    rows = build_outcome_rows(report["sequences"], "sequences")
    for row in rows:
        row["frames"] = report["frames"][row["outcome"]]
    text = f"From {report['clips']} clips of {report['videos']} videos."
    create_table_artifact(rows, key="crop-outcomes", description=text)


def show_landmarks(params: Params) -> None:
    """In how many frames there are landmarks."""
    report = read_report("landmarks.json")
    text = f"A face was found in {report['detected_rate']:.1%} of {report['frames']:,} frames."
    create_table_artifact([report], key="landmarks-outcomes", description=text)


def show_evaluate(params: Params) -> None:
    """The figures beside the baselines' and the champion's."""
    ours = flatten_keys(read_report("metrics.json"))
    against, champion = read_champion_metrics(params)
    columns: dict[str, tuple[Mapping[str, Any], str]] = {"this run": (ours, "")}
    columns |= {method: (ours, f"{method}.") for method in BASELINES}
    if champion:
        columns[against] = (champion, "")
    rows = []
    for metric in METRICS:
        if ours.get(f"{Task.RECONSTRUCTION}.{metric.name}") is None:
            continue
        row: dict[str, str] = {"metric": metric.label, "better": metric.better}
        for column, (figures, prefix) in columns.items():
            figure = figures.get(f"{Task.RECONSTRUCTION}.{prefix}{metric.name}")
            row[column] = "" if figure is None else f"{figure:.{metric.digits}f}"
        rows.append(row)
    text = "Reconstruction of the held-out people; reports/report.html has intervals and every clip."
    create_table_artifact(rows, key="figures", description=text)


def read_champion_metrics(params: Params) -> tuple[str, Mapping[str, float]]:
    """The champion's name in a table, and its figures; none where there is none or MLflow does not answer."""
    from faceanim.registry.store import ModelRegistry
    from faceanim.tracking import resolve_tracking_uri

    try:
        store = ModelRegistry.open(params.register_, resolve_tracking_uri(params.run))
        number = store.get_champion()
        if number is None:
            return "champion", {}
        version = store.get_version(number)
        same = version.test_set == test_set_id(REPORTS / "evaluation")
        name = f"champion (version {number})" if same else f"champion (version {number}, of another test set)"
        return name, store.client.get_run(version.run_id).data.metrics
    except FaceanimError as error:
        get_run_logger().warning("the champion's figures are left out: %s", error)
        return "champion", {}


def show_register(params: Params) -> None:
    """The verdict, and links to the version and its run."""
    from faceanim.registry.store import ModelRegistry
    from faceanim.tracking import resolve_tracking_uri, run_url, version_url

    report = read_report("registered.json")
    name, number, uri = params.register_.model_name, report["version"], resolve_tracking_uri(params.run)
    create_table_artifact([{"model": name} | report], key="registered", description=report["verdict"])
    page = version_url(uri, name, number)
    create_link_artifact(page, f"{name} version {number} in MLflow", key="registered-version")
    try:
        store = ModelRegistry.open(params.register_, uri)
        run = store.client.get_run(store.get_version(number).run_id).info
    except FaceanimError as error:
        get_run_logger().warning("the link to the MLflow run is left out: %s", error)
        return
    page = run_url(uri, run.experiment_id, run.run_id)
    create_link_artifact(page, "Its run in MLflow", key="registered-run")


PUBLISHERS: Mapping[str, Callable[[Params], None]] = {
    "download": show_download,
    "crop": show_crop,
    "landmarks": show_landmarks,
    "evaluate": show_evaluate,
    "register": show_register,
}
