"""The commands `faceanim evaluate` and `faceanim test-set`: other methods, scored by our own code."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from faceanim.config import load_params
from faceanim.errors import FaceanimError
from faceanim.progress import progress

if TYPE_CHECKING:
    from faceanim.evaluation.report import Rival
    from faceanim.evaluation.statistics import Figure


Crops = Annotated[Path, typer.Option(help="The table of crops; its test split is what is scored.")]
CROPS = Path("data/crops.parquet")
ParamsFile = Annotated[Path, typer.Option(help="The parameters that say at which size, and how many pairs.")]
PARAMS = Path("params.yaml")


def evaluate(
    predictions: Annotated[
        Path, typer.Option(help="A folder with a video for each item of the test set, `<item>.<suffix>`.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("out/evaluation"),
    crops: Crops = CROPS,
    landmarks: Annotated[Path, typer.Option(help="The folder of their landmarks.")] = Path("data/landmarks"),
    beside: Annotated[
        Path | None, typer.Option(help="Another evaluation to set it beside, such as reports/evaluation.")
    ] = None,
    params: ParamsFile = PARAMS,
) -> None:
    """Score any other method by its videos, with the code and the baselines that our models are scored with.

    `faceanim test-set` writes what to animate. A video has a square frame for each driving frame, or one more
    for the first; its name is the item's. Take a lossless codec: what another loses counts against it. The
    figures are printed; the page `report.html` in the folder has them all, and the videos.
    """
    from faceanim.evaluation.evaluate import nested, score_all, videos_to_score
    from faceanim.evaluation.report import write_report
    from faceanim.evaluation.statistics import figures
    from faceanim.tables import write_json

    loaded = load_params(params)
    size = loaded.train_animation.model.size
    todo, candidate = videos_to_score(loaded.evaluate, crops, predictions, size, out)
    rival = None if beside is None else other_evaluation(beside, out)
    with progress("evaluate") as on_progress:
        scores = score_all(loaded.evaluate, todo, candidate, landmarks, out, on_progress)
    write_json(nested(scores), out / "metrics.json")
    write_report(out, out / "report.html", {}, rival, None)
    print_figures(figures(scores))
    print(out / "report.html")


def other_evaluation(folder: Path, out: Path) -> "Rival":
    """An evaluation to stand beside that in `out`.

    Raises:
        FaceanimError: there is none in the folder, or it is of another test set.
    """
    from faceanim.evaluation import protocol
    from faceanim.evaluation.protocol import SCORES
    from faceanim.evaluation.report import Rival
    from faceanim.tables import read_rows

    rows = read_rows(folder / protocol.SCORES_FILE, SCORES)
    if protocol.test_set_id(folder) != protocol.test_set_id(out):
        raise FaceanimError(f"{folder} is of another test set; take the same crops and parameters for both")
    return Rival(folder.name, rows)


def print_figures(found: Sequence["Figure"]) -> None:
    """Print figures with their intervals, a table for each task and a column for each method."""
    from faceanim.evaluation.protocol import METRICS

    for task in dict.fromkeys(figure.task for figure in found):
        cells = {(f.metric, f.method): f.interval for f in found if f.task == task}
        methods = list(dict.fromkeys(method for _, method in cells))
        table = Table(title=task.replace("_", " "), title_justify="left")
        for title in ("", *(method.replace("_", " ") for method in methods)):
            table.add_column(title)
        for metric in METRICS:
            row = [cells.get((metric.name, method)) for method in methods]
            if any(row):
                shown = [
                    f"{i.mean:.{metric.digits}f} [{i.low:.{metric.digits}f}, {i.high:.{metric.digits}f}]"
                    if i
                    else ""
                    for i in row
                ]
                table.add_row(f"{metric.label} {metric.unit}".strip(), *shown)
        Console(width=120, soft_wrap=True).print(table)


def export(
    out: Annotated[Path, typer.Argument(help="The folder to write to.")],
    crops: Crops = CROPS,
    params: ParamsFile = PARAMS,
) -> None:
    """Write the test set for another method: a source picture and a lossless driving video for each item."""
    from faceanim.evaluation.test_set_export import export_test_set

    with progress("test set") as on_progress:
        count = export_test_set(crops, load_params(params).evaluate.pairs, out, on_progress)
    print(f"{count} sources and driving videos are in {out}; name each prediction as its driving video")
