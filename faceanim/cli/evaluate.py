"""The commands `faceanim evaluate` and `faceanim test-set`: other methods, scored by our own code."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from faceanim.config import load_params
from faceanim.errors import FaceanimError
from faceanim.progress import show_progress

if TYPE_CHECKING:
    from faceanim.evaluation.report import ReferenceRun
    from faceanim.evaluation.statistics import MetricSummary


CropsOption = Annotated[Path, typer.Option(help="The table of crops; its test split is what is scored.")]
CROPS_TABLE = Path("data/crops.parquet")
ParamsFile = Annotated[Path, typer.Option(help="The parameters that say at which size, and how many pairs.")]
PARAMS_FILE = Path("params.yaml")


def evaluate(
    predictions: Annotated[
        Path, typer.Option(help="A folder with a video for each item of the test set, `<item>.<suffix>`.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("out/evaluation"),
    crops: CropsOption = CROPS_TABLE,
    landmarks: Annotated[Path, typer.Option(help="The folder of their landmarks.")] = Path("data/landmarks"),
    beside: Annotated[
        Path | None, typer.Option(help="Another evaluation to set it beside, such as reports/evaluation.")
    ] = None,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Score any other method by its videos, with the code and the baselines that our models are scored with.

    `faceanim test-set` writes what to animate. A video has a square frame for each driving frame, or one more
    for the first; its name is the item's. Take a lossless codec: what another loses counts against it. The
    figures are printed; the page `report.html` in the folder has them all, and the videos.
    """
    from faceanim.evaluation.evaluate import collect_predictions, nest_metrics, score_items
    from faceanim.evaluation.report import write_report
    from faceanim.evaluation.statistics import summarize_scores
    from faceanim.tables import write_json

    loaded = load_params(params)
    size = loaded.train_animation.model.size
    todo, candidate = collect_predictions(loaded.evaluate, crops, predictions, size, out)
    rival = None if beside is None else load_reference(beside, out)
    with show_progress("evaluate") as on_progress:
        scores = score_items(loaded.evaluate, todo, candidate, landmarks, out, on_progress)
    write_json(nest_metrics(scores), out / "metrics.json")
    write_report(out, out / "report.html", {}, rival, None)
    print_summaries(summarize_scores(scores))
    print(out / "report.html")


def load_reference(folder: Path, out: Path) -> "ReferenceRun":
    """An evaluation to stand beside that in `out`.

    Raises:
        FaceanimError: there is none in the folder, or it is of another test set.
    """
    from faceanim.evaluation import protocol
    from faceanim.evaluation.protocol import SCORES
    from faceanim.evaluation.report import ReferenceRun
    from faceanim.tables import read_rows

    rows = read_rows(folder / protocol.SCORES_FILE, SCORES)
    if protocol.test_set_id(folder) != protocol.test_set_id(out):
        raise FaceanimError(f"{folder} is of another test set; take the same crops and parameters for both")
    return ReferenceRun(folder.name, rows)


def print_summaries(found: Sequence["MetricSummary"]) -> None:
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


def write_test_set(
    out: Annotated[Path, typer.Argument(help="The folder to write to.")],
    crops: CropsOption = CROPS_TABLE,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Write the test set for another method: a source picture and a lossless driving video for each item."""
    from faceanim.evaluation.test_set_export import export_test_set

    with show_progress("test set") as on_progress:
        count = export_test_set(crops, load_params(params).evaluate.pairs, out, on_progress)
    print(f"{count} sources and driving videos are in {out}; name each prediction as its driving video")
