"""The command `faceanim`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from faceanim.config import load_params
from faceanim.errors import FaceanimError
from faceanim.evaluation import commands as evaluation
from faceanim.profiles import use_profile
from faceanim.progress import progress
from faceanim.registry import commands as registry

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Animate any portrait, and look after the models that do it.\n\n"
    "The pipeline itself is `dvc repro`; see the README.",
)

app.command()(evaluation.evaluate)
app.command("test-set")(evaluation.export)
app.add_typer(registry.app, name="models")

DEFAULT_MODEL = "models:/faceanim@champion"
ParamsFile = Annotated[Path, typer.Option(help="The parameters that name the MLflow address.")]


@app.command()
def animate(
    source: Annotated[Path, typer.Argument(help="A picture with a face.")],
    driving: Annotated[Path, typer.Argument(help="A video whose motion the face takes on.")],
    out: Annotated[Path, typer.Argument(help="The MP4 to write.")],
    model: Annotated[str, typer.Option(help="A registered model, or a folder with one.")] = DEFAULT_MODEL,
    super_resolution: Annotated[
        bool, typer.Option(help="Enlarge the frames with the second network.")
    ] = True,
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Animate the portrait SOURCE with the motion of the video DRIVING.

    The result has the driving video's frames, rate and sound, and says in its metadata that it is synthetic.
    """
    from faceanim.animate import animate as animate_portrait
    from faceanim.inference import Animator

    for path in (source, driving):
        if not path.is_file():
            raise FaceanimError(f"there is no file {path}")
    animator = Animator.load(model_folder(model, params))
    with progress("animate") as on_progress:
        animate_portrait(
            source, driving, out, animator, super_resolve=super_resolution, on_progress=on_progress
        )
    print(out)


def model_folder(model: str, params: Path) -> Path:
    """The folder of a model given as a registry address or as a path."""
    if not model.startswith("models:"):
        return Path(model)
    from faceanim.registry.store import fetch_model

    # Outside the project the address in the environment is enough.
    return fetch_model(model, os.environ.get("MLFLOW_TRACKING_URI") or load_params(params).run.tracking_uri)


@app.command()
def profile(name: Annotated[str, typer.Argument(help="`sample`, `paper` or `voxceleb`.")]) -> None:
    """Write the parameters of a shipped profile to params.yaml."""
    use_profile(name)
    print(f"params.yaml is now the profile {name}; `dvc repro` runs what it changes")


@app.command()
def retry(
    reasons: Annotated[list[str] | None, typer.Argument(help="Such as `private` or `network`.")] = None,
    videos: Annotated[Path, typer.Option(help="The folder of the videos.")] = Path("data/videos"),
) -> None:
    """List the videos that could not be had, or have those that failed for REASONS tried again.

    What is dead is remembered until it is asked for here; `dvc repro` then fetches it anew.
    """
    from faceanim.data.retry import failures, forget

    if reasons:
        print(f"{forget(videos, reasons)} failures forgotten; the next `dvc repro` tries those videos again")
        return
    table = Table(title="Videos that could not be had")
    for column in ("reason", "videos", "tried again"):
        table.add_column(column)
    for found in failures(videos):
        when = "whenever the stage runs" if found.passes else f"after `faceanim retry {found.reason}`"
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
