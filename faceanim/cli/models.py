"""The commands `faceanim models`, which list, show, compare and fetch versions and change the champion."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from faceanim.cli.options import Overwrite
from faceanim.config import RegisterConfig, load_params
from faceanim.inference.loading import MODEL_NAME
from faceanim.mlflow_address import PARAMS_FILE, find_tracking_uri

if TYPE_CHECKING:
    from faceanim.registry.store import ModelRegistry, Version
    from faceanim.tables import Row


app = typer.Typer(
    help="Manage the registered versions. Without a command, list them.",
    rich_markup_mode="markdown",
)

ParamsFile = Annotated[
    Path, typer.Option(help="The parameters, which set the model's name and the MLflow address.")
]
VersionName = Annotated[str, typer.Argument(help="The number of a version, or an alias such as `champion`.")]


@app.callback(invoke_without_command=True)
def models(context: typer.Context, params: ParamsFile = PARAMS_FILE) -> None:
    """List the versions if no command is given."""
    if context.invoked_subcommand is None:
        list_versions(params)


@app.command("list")
def list_versions(params: ParamsFile = PARAMS_FILE) -> None:
    """List the versions with their scores, aliases and verdicts."""
    store = open_registry(params)
    table = Table(title=store.name)
    for column in ("version", "alias", "PSNR, dB", "git revision", "verdict"):
        table.add_column(column)
    for version in reversed(store.list_versions()):
        tags = version.tags
        table.add_row(
            str(version.number),
            " ".join(version.aliases),
            f"{float(tags['psnr']):.2f}" if "psnr" in tags else "",
            tags.get("git_revision", "")[:9],
            tags.get("verdict", ""),
        )
    Console().print(table)


@app.command()
def show(version: VersionName, params: ParamsFile = PARAMS_FILE) -> None:
    """Show a version: its origin, scores, data, licenses and verdict."""
    from faceanim.cli.evaluate import print_summaries
    from faceanim.evaluation.statistics import summarize_scores
    from faceanim.registry.card import MANIFEST_FILE, describe_data
    from faceanim.registry.store import LICENSES_TAG

    store = open_registry(params)
    shown = store.find_version(version)
    facts = Table(title=f"{store.name} version {shown.number}", show_header=False)
    for name, value in [("aliases", " ".join(shown.aliases) or "none"), *sorted(shown.tags.items())]:
        if name != LICENSES_TAG:
            facts.add_row(name.replace("_", " "), value)
    with tempfile.TemporaryDirectory() as temporary:
        manifest = json.loads(
            store.download(shown, MANIFEST_FILE, Path(temporary)).read_text(encoding="utf-8")
        )
    for line in describe_data(manifest):
        facts.add_row("data", line)
    for line in shown.tags.get(LICENSES_TAG, "").splitlines():
        facts.add_row("licenses", line)
    Console().print(facts)
    print_summaries(summarize_scores(store.load_scores(shown, shown.test_set)))


@app.command()
def compare(version: VersionName, other_version: VersionName, params: ParamsFile = PARAMS_FILE) -> None:
    """Compare two versions on the clips that both were scored on, with paired differences."""
    store = open_registry(params)
    versions = [store.find_version(name) for name in (version, other_version)]
    shared = shared_test_set(versions)
    scores, other_scores = (store.load_scores(item, shared or item.test_set) for item in versions)
    if shared is None:
        Console().print(
            "warning: the versions were scored on different test sets or with different protocols; the "
            "comparison is limited to clips with the same names and is not fair"
        )
    number, other_number = (item.number for item in versions)
    table = Table(title=f"version {number} minus version {other_number}, mean over clips")
    for column in ("task", "method", "metric", "difference", "95 % interval", "clips", "people"):
        table.add_column(column)
    for row in difference_rows(scores, other_scores):
        table.add_row(*row)
    Console().print(table)


@app.command()
def pull(
    version: VersionName,
    folder: Annotated[Path, typer.Argument(help="The folder to write.")],
    overwrite: Overwrite = False,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Fetch a version to FOLDER, which `faceanim animate --model FOLDER` uses without MLflow."""
    from faceanim.registry.store import pull_version as pull_version

    print(pull_version(open_registry(params), version, folder, overwrite))


@app.command()
def promote(version: VersionName, params: ParamsFile = PARAMS_FILE) -> None:
    """Make a version the champion manually, if it passes the check that every champion must pass."""
    from faceanim.registry.promotion import promote as promote_version

    store = open_registry(params, for_writing=True)
    number = store.find_version(version).number
    promote_version(store, number)
    print(f"version {number} is the champion")


@app.command()
def rollback(params: ParamsFile = PARAMS_FILE) -> None:
    """Restore the previous champion."""
    from faceanim.registry.promotion import rollback as roll_back

    replaced, champion = roll_back(open_registry(params, for_writing=True))
    print(f"version {champion} is the champion again; it replaces version {replaced}")


def open_registry(params: Path, *, for_writing: bool = False) -> "ModelRegistry":
    """Open the registered model that a parameter file names; with the address in the environment, any folder
    will do.

    Raises:
        FaceanimError: there is no such registry.
    """
    from faceanim.registry.store import ModelRegistry
    from faceanim.tracking import check_exists

    uri = find_tracking_uri(params)
    is_project = params.exists() or params != PARAMS_FILE
    config = load_params(params).register_ if is_project else RegisterConfig(model_name=MODEL_NAME)
    if not for_writing:
        return ModelRegistry.open_for_reading(config, uri)
    check_exists(uri)
    return ModelRegistry.open(config, uri)


def shared_test_set(versions: "list[Version]") -> str | None:
    """Return a test set that both versions were scored on, at registration or later; None without one."""
    from faceanim.registry.store import is_scored_on

    for version in versions:
        if all(is_scored_on(item, version.test_set) for item in versions):
            return version.test_set
    return None


def difference_rows(scores: "list[Row]", other_scores: "list[Row]") -> Iterator[tuple[str, ...]]:
    """Yield the rows of the table of `compare`, for the metrics that both versions have."""
    from faceanim.evaluation.protocol import METRICS, MethodName, Task
    from faceanim.evaluation.statistics import paired_difference, select_scores

    for task in Task:
        for method in (MethodName.PREDICTION, MethodName.SUPER_RESOLVED):
            rows = select_scores(scores, task, method)
            other_rows = select_scores(other_scores, task, method)
            for metric in METRICS:
                if difference := paired_difference(rows, other_rows, metric):
                    values = (difference.mean, difference.low, difference.high)
                    mean, low, high = (f"{value:+.{metric.digits}f}" for value in values)
                    names = (task.replace("_", " "), method.replace("_", " "))
                    label = f"{metric.label} {metric.unit}".strip()
                    yield (
                        *names,
                        label,
                        mean,
                        f"{low} to {high}",
                        str(difference.clips),
                        str(difference.people),
                    )
