"""The command `faceanim`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from faceanim.cli import animate, evaluate, models, verify
from faceanim.config import load_params
from faceanim.config.params import apply_profile
from faceanim.errors import FaceanimError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Animate any portrait, and look after the models that do it.\n\n"
    "The pipeline itself is `dvc repro`; see the README.",
)

app.command()(animate.animate)
app.command()(animate.motion)
app.command()(verify.verify)
app.command()(animate.export)
app.command()(animate.app)
app.command()(evaluate.evaluate)
app.command("test-set")(evaluate.write_test_set)
app.add_typer(models.app, name="models")


@app.command()
def profile(name: Annotated[str, typer.Argument(help="`sample`, `paper` or `voxceleb`.")]) -> None:
    """Write the parameters of a shipped profile to params.yaml."""
    apply_profile(name)
    print(f"params.yaml is now the profile {name}; `dvc repro` runs what it changes")


@app.command()
def retry(
    reasons: Annotated[list[str] | None, typer.Argument(help="Such as `private` or `network`.")] = None,
    videos: Annotated[Path, typer.Option(help="The folder of the videos.")] = Path("data/videos"),
) -> None:
    """List the videos that could not be had, or have those that failed for REASONS tried again.

    What is dead is remembered until it is asked for here; `dvc repro` then fetches it anew.
    """
    from faceanim.ingest.records import forget_failures, list_failures

    if reasons:
        count = forget_failures(videos, reasons)
        print(f"{count} failures forgotten; the next `dvc repro` tries those videos again")
        return
    table = Table(title="Videos that could not be had")
    for column in ("reason", "videos", "tried again"):
        table.add_column(column)
    for found in list_failures(videos):
        when = "whenever the stage runs" if found.is_transient else f"after `faceanim retry {found.reason}`"
        table.add_row(found.reason, str(len(found.fragments)), when)
    Console().print(table)


@app.command()
def check(params: Annotated[Path, typer.Argument(help="A parameter file.")] = Path("params.yaml")) -> None:
    """Check a parameter file: unknown keys, wrong types and values out of range are named."""
    load_params(params)
    print(f"{params} is valid")


def main() -> None:
    """Run the command; a user's mistake is one line and exit code 1."""
    try:
        app()
    except FaceanimError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
