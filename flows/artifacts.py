"""Artifacts in the Prefect UI: the progress of a running stage, and tables and links read from its reports.

Updates are sent by a background thread, so that the work never waits for a server.
"""

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
from faceanim.mlflow_address import resolve_tracking_uri, run_url, version_url
from faceanim.progress import ProgressCallback
from faceanim.tables import flatten_keys
from flows.prefect_api import API_ERRORS, is_api_healthy

UPDATE_INTERVAL_S = 2.0
FLUSH_TIMEOUT_S = 10.0
"""Timeout at the end of a stage for the last update to arrive."""
RETRY_AFTER_S = 60.0
"""Pause after a failed request."""
REPORTS = Path("reports")
BASELINES = (MethodName.COPY_SOURCE, MethodName.LANDMARK_WARP)


class ProgressPage:
    """Progress artifacts of a flow run, updated by a background thread.

    Args:
        name: name of the stage, from which the keys of the artifacts are derived.
        flow_run_id: ID of the flow run.
        in_terminal: progress display to which all calls are forwarded.
    """

    def __init__(self, name: str, flow_run_id: UUID, in_terminal: ProgressCallback) -> None:
        self._name = name.replace("_", "-")
        self._flow_run_id = str(flow_run_id)
        self._in_terminal = in_terminal
        self._started: tuple[float, int] | None = None
        self._bar: dict[str, Any] | None = None
        self._bar_id: str | None = None
        self._links: list[tuple[str, str]] = []
        self._stopped = threading.Event()

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Record that `done` of `total` items are finished."""
        self._in_terminal(done, total, note)
        now = time.monotonic()
        if self._started is None:
            self._started = (now, done)
        text = describe_progress(done, total, note, done - self._started[1], now - self._started[0])
        self._bar = {"data": 100.0 * done / total if total else 100.0, "description": text}

    def link(self, text: str, address: str) -> None:
        """Queue a link for publication."""
        self._links.append((text, address))

    @contextmanager
    def publishing(self) -> Iterator["ProgressPage"]:
        """Publish updates every `UPDATE_INTERVAL_S` seconds within the block, and once more at its end."""
        thread = threading.Thread(target=self._publish_updates, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            thread.join(FLUSH_TIMEOUT_S)

    def _publish_updates(self) -> None:
        published = None
        with get_client(sync_client=True) as client:
            stopped = False
            while not stopped:
                stopped = self._stopped.wait(UPDATE_INTERVAL_S)
                try:
                    while self._links:
                        text, address = self._links[0]
                        self._create_artifact(
                            client, "markdown", "link", data=f"[{text}]({address})", description=text
                        )
                        del self._links[0]
                    if self._bar is not None and self._bar is not published:
                        published = self._publish_bar(client, self._bar)
                except API_ERRORS:
                    stopped = stopped or self._stopped.wait(RETRY_AFTER_S)

    def _publish_bar(self, client: SyncPrefectClient, bar: dict[str, Any]) -> dict[str, Any]:
        if self._bar_id is None:
            self._bar_id = self._create_artifact(client, "progress", "progress", **bar)
        else:
            client.request("PATCH", "/artifacts/{id}", json=bar, path_params={"id": self._bar_id})
        return bar

    def _create_artifact(self, client: SyncPrefectClient, kind: str, suffix: str, **values: Any) -> str:
        """Create an artifact. `client.create_artifact` would emit events from threads, which break a fork."""
        identity = {"key": f"{self._name}-{suffix}", "type": kind, "flow_run_id": self._flow_run_id}
        artifact_id: str = client.request("POST", "/artifacts/", json=identity | values).json()["id"]
        return artifact_id


def describe_progress(done: int, total: int, note: str, recent: int, seconds: float) -> str:
    """Describe progress in a line: items finished, rate, and estimated time left.

    Args:
        done: number of finished items.
        total: number of all items.
        note: text to append.
        recent: number of items finished in the last `seconds`; the others were finished before.
        seconds: seconds since the first progress report.
    """
    parts = [f"{done} of {total}"]
    if recent and seconds > 0:
        rate = recent / seconds
        parts.append(f"{rate:.1f} per second" if rate >= 1 else f"{60 * rate:.1f} per minute")
        if done < total:
            parts.append(f"{format_duration((total - done) / rate)} left")
    return ", ".join(parts + [note] * bool(note))


def format_duration(seconds: float) -> str:
    """Format a duration, such as `2 h 05 min`."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min"


def publish_results(stage: str) -> None:
    """Publish the results of a stage as artifacts of the current task, if the stage has a publisher."""
    publish = PUBLISHERS.get(stage)
    if publish is None:
        return
    try:
        if is_api_healthy():
            publish(load_params())
    except API_ERRORS as error:
        get_run_logger().warning("cannot publish the results of %s: %s", stage, error)


def read_report(name: str) -> dict[str, Any]:
    """Read a JSON report by file name."""
    report: dict[str, Any] = json.loads((REPORTS / name).read_text(encoding="utf-8"))
    return report


def build_outcome_rows(counts: Mapping[str, int], count_column: str) -> list[dict[str, Any]]:
    """Build the rows of a table of outcomes, most frequent first, with the counts in `count_column`."""
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [
        {"outcome": outcome, count_column: count, "share": f"{count / total:.1%}"}
        for outcome, count in ordered
    ]


def show_download(params: Params) -> None:
    """Publish the table of videos by outcome."""
    report = read_report("download.json")
    text = (
        f"{report['clips_ok']:,} of {report['clips']:,} clips have a video: "
        f"{decimal(report['bytes'])}, {format_duration(report['seconds'])} in total."
    )
    if passing := report["passing"]:
        text += f" To retry transient failures: `faceanim retry {' '.join(passing)}`, then run this again."
    create_table_artifact(
        build_outcome_rows(report["videos"], "videos"), key="download-outcomes", description=text
    )


def show_crop(params: Params) -> None:
    """Publish the table of sequences and their frames by outcome."""
    report = read_report("crop.json")
    rows = build_outcome_rows(report["sequences"], "sequences")
    for row in rows:
        row["frames"] = report["frames"][row["outcome"]]
    text = f"From {report['clips']} clips of {report['videos']} videos."
    create_table_artifact(rows, key="crop-outcomes", description=text)


def show_landmarks(params: Params) -> None:
    """Publish the detection rate of the landmarks."""
    report = read_report("landmarks.json")
    text = f"A face was detected in {report['detected_rate']:.1%} of {report['frames']:,} frames."
    create_table_artifact([report], key="landmarks-outcomes", description=text)


def show_evaluate(params: Params) -> None:
    """Publish the reconstruction metrics next to those of the baselines and the champion."""
    scores = flatten_keys(read_report("metrics.json"))
    champion_title, champion = read_champion_metrics(params)
    columns: dict[str, tuple[Mapping[str, Any], str]] = {"this run": (scores, "")}
    columns |= {method: (scores, f"{method}.") for method in BASELINES}
    if champion:
        columns[champion_title] = (champion, "")
    rows = []
    for metric in METRICS:
        if scores.get(f"{Task.RECONSTRUCTION}.{metric.name}") is None:
            continue
        row: dict[str, str] = {"metric": metric.label, "better": metric.better}
        for column, (metrics, prefix) in columns.items():
            value = metrics.get(f"{Task.RECONSTRUCTION}.{prefix}{metric.name}")
            row[column] = "" if value is None else f"{value:.{metric.digits}f}"
        rows.append(row)
    text = "Reconstruction of held-out people; reports/report.html has intervals and all clips."
    create_table_artifact(rows, key="figures", description=text)


def read_champion_metrics(params: Params) -> tuple[str, Mapping[str, float]]:
    """Return the champion's column title and metrics, which are empty without a champion or MLflow."""
    from faceanim.registry.store import ModelRegistry

    try:
        store = ModelRegistry.open_for_reading(params.register_, resolve_tracking_uri(params.run))
        number = store.get_champion()
        if number is None:
            return "champion", {}
        version = store.get_version(number)
        same = version.test_set == test_set_id(REPORTS / "evaluation")
        name = f"champion (version {number})" if same else f"champion (version {number}, of another test set)"
        return name, store.client.get_run(version.run_id).data.metrics
    except FaceanimError as error:
        get_run_logger().warning("cannot read the champion's metrics: %s", error)
        return "champion", {}


def show_register(params: Params) -> None:
    """Publish the verdict, and links to the version and its run in MLflow."""
    from faceanim.registry.store import ModelRegistry

    report = read_report("registered.json")
    name, number, uri = params.register_.model_name, report["version"], resolve_tracking_uri(params.run)
    create_table_artifact([{"model": name} | report], key="registered", description=report["verdict"])
    page = version_url(uri, name, number)
    create_link_artifact(page, f"{name} version {number} in MLflow", key="registered-version")
    try:
        store = ModelRegistry.open_for_reading(params.register_, uri)
        run = store.client.get_run(store.get_version(number).run_id).info
    except FaceanimError as error:
        get_run_logger().warning("cannot link to the MLflow run: %s", error)
        return
    page = run_url(uri, run.experiment_id, run.run_id)
    create_link_artifact(page, "Run of this version in MLflow", key="registered-run")


PUBLISHERS: Mapping[str, Callable[[Params], None]] = {
    "download": show_download,
    "crop": show_crop,
    "landmarks": show_landmarks,
    "evaluate": show_evaluate,
    "register": show_register,
}
