"""What came of a stage, as tables and links on the page of its task; read from the reports it wrote."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_link_artifact, create_table_artifact
from rich.filesize import decimal

from faceanim.config import Params, load_params
from faceanim.errors import FaceanimError
from faceanim.evaluation.catalog import METRICS, Method, Task
from faceanim.evaluation.record import test_set_id
from faceanim.tracking import flatten, tracking_uri
from flows.api import API_ERRORS, api_answers
from flows.links import run_page, version_page
from flows.progress import duration

REPORTS = Path("reports")
BASELINES = (Method.COPY_SOURCE, Method.LANDMARK_WARP)


def publish(stage: str) -> None:
    """Show what came of a stage, if it is one of those that have something to show."""
    show = SHOWN.get(stage)
    if show is None:
        return
    try:
        if api_answers():
            show(load_params())
    except API_ERRORS as error:
        get_run_logger().warning("Prefect does not take the tables of %s: %s", stage, error)


def read_report(name: str) -> dict[str, Any]:
    """One of the reports."""
    found: dict[str, Any] = json.loads((REPORTS / name).read_text(encoding="utf-8"))
    return found


def outcomes(counts: Mapping[str, int], what: str) -> list[dict[str, Any]]:
    """Rows of a table of outcomes, the most frequent first."""
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"outcome": outcome, what: count, "share": f"{count / total:.1%}"} for outcome, count in ordered]


def show_download(params: Params) -> None:
    """Videos by outcome."""
    report = read_report("download.json")
    text = (
        f"{report['clips_ok']:,} of {report['clips']:,} clips have their video: "
        f"{decimal(report['bytes'])}, {duration(report['seconds'])} in all."
    )
    if passing := report["passing"]:
        text += f" To try again what may pass: `faceanim retry {' '.join(passing)}`, then run this again."
    create_table_artifact(outcomes(report["videos"], "videos"), key="download-outcomes", description=text)


def show_crop(params: Params) -> None:
    """Sequences by outcome, with their frames."""
    report = read_report("crop.json")
    rows = outcomes(report["sequences"], "sequences")
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
    ours = flatten(read_report("metrics.json"))
    against, champion = champion_figures(params)
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


def champion_figures(params: Params) -> tuple[str, Mapping[str, float]]:
    """The champion's name in a table, and its figures; none where there is none or MLflow does not answer."""
    from faceanim.registry.store import Store

    try:
        store = Store.open(params.register_, tracking_uri(params.run))
        number = store.champion()
        if number is None:
            return "champion", {}
        version = store.version(number)
        same = version.test_set == test_set_id(REPORTS / "evaluation")
        name = f"champion (version {number})" if same else f"champion (version {number}, of another test set)"
        return name, store.client.get_run(version.run_id).data.metrics
    except FaceanimError as error:
        get_run_logger().warning("the champion's figures are left out: %s", error)
        return "champion", {}


def show_register(params: Params) -> None:
    """The verdict, and links to the version and its run."""
    from faceanim.registry.store import Store

    report = read_report("registered.json")
    name, number, uri = params.register_.model_name, report["version"], tracking_uri(params.run)
    create_table_artifact([{"model": name} | report], key="registered", description=report["verdict"])
    page = version_page(uri, name, number)
    create_link_artifact(page, f"{name} version {number} in MLflow", key="registered-version")
    try:
        store = Store.open(params.register_, uri)
        run = store.client.get_run(store.version(number).run_id).info
    except FaceanimError as error:
        get_run_logger().warning("the link to the MLflow run is left out: %s", error)
        return
    page = run_page(uri, run.experiment_id, run.run_id)
    create_link_artifact(page, "Its run in MLflow", key="registered-run")


SHOWN: Mapping[str, Callable[[Params], None]] = {
    "download": show_download,
    "crop": show_crop,
    "landmarks": show_landmarks,
    "evaluate": show_evaluate,
    "register": show_register,
}
