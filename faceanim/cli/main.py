"""Entry point of the command `faceanim`, with the commands for the pipeline's parameters and downloads."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from faceanim._version import __version__
from faceanim.cli import animate, evaluate, models, render, verify
from faceanim.cli.options import Overwrite
from faceanim.config import load_params
from faceanim.config.params import CUSTOM_PROFILE, apply_profile, detect_profile
from faceanim.errors import FaceanimError, name_missing_packages
from faceanim.loopback import bypass_proxies
from faceanim.tables import check_target

PARAMS_FILE = Path("params.yaml")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Animate any portrait, and manage the models that do it.\n\n"
    "The pipeline itself is run with `dvc repro`; see docs/pipeline.md.",
)


def print_version(is_requested: bool) -> None:
    """Print the version and exit, if the option is given."""
    if is_requested:
        print(f"faceanim {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Define the options of `faceanim` itself; its help text is that of `app`."""


app.command()(animate.animate)
app.command()(animate.motion)
app.command()(verify.verify)
app.command()(animate.export)
app.command()(animate.app)
app.command()(evaluate.evaluate)
app.command("test-set")(evaluate.write_test_set)
app.command()(render.render)
app.add_typer(models.app, name="models")


@app.command()
def profile(
    name: Annotated[str, typer.Argument(help="Profile: `sample`, `paper`, `voxceleb` or `rendered`.")],
    overwrite: Overwrite = False,
) -> None:
    """Write the parameters of a shipped profile to params.yaml.

    Parameters that equal a profile are replaced without `--overwrite`, because nothing is lost.
    """
    is_edited = detect_profile(PARAMS_FILE) in (CUSTOM_PROFILE, "invalid")
    check_target(PARAMS_FILE, overwrite or not is_edited)
    apply_profile(name, params=PARAMS_FILE)
    advice = "; run `dvc repro` to update the results" if Path("dvc.yaml").is_file() else ""
    print(f"params.yaml now holds the profile {name}{advice}")


@app.command()
def retry(
    reasons: Annotated[
        list[str] | None, typer.Argument(help="Reasons of failures, such as `private` or `network`.")
    ] = None,
    videos: Annotated[Path, typer.Option(help="Folder of the videos.")] = Path("data/videos"),
) -> None:
    """List the failed downloads, or have those that failed for REASONS retried.

    Permanent failures are remembered until a retry is requested here; the next `dvc repro` then downloads the
    videos again.
    """
    from faceanim.ingest.records import forget_failures, list_failures

    if reasons:
        count = forget_failures(videos, reasons)
        print(f"{count} failures forgotten; the next `dvc repro` retries those videos")
        return
    table = Table(title="Failed downloads")
    for column in ("reason", "videos", "retried"):
        table.add_column(column)
    for group in list_failures(videos):
        when = "on every run of the stage" if group.is_transient else f"after `faceanim retry {group.reason}`"
        table.add_row(group.reason, str(len(group.fragments)), when)
    Console().print(table)


@app.command()
def check(
    params: Annotated[Path, typer.Argument(help="Parameter file to check.")] = Path("params.yaml"),
) -> None:
    """Check a parameter file for unknown keys, wrong types and values out of range."""
    load_params(params)
    print(f"{params} is valid")


def main() -> None:
    """Run the command; user errors print one line and exit with code 1."""
    bypass_proxies()
    try:
        with name_missing_packages():
            app()
    except FaceanimError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
