"""The commands `faceanim evaluate` and `faceanim test-set`, which score other methods with the same code."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from faceanim.cli.options import Overwrite
from faceanim.config import load_params
from faceanim.errors import FaceanimError
from faceanim.progress import show_progress

if TYPE_CHECKING:
    from faceanim.evaluation.report import ReferenceRun
    from faceanim.evaluation.statistics import MetricSummary


CropsOption = Annotated[Path, typer.Option(help="The table of crops, whose test split is scored.")]
CROPS_TABLE = Path("data/crops.parquet")
ParamsFile = Annotated[Path, typer.Option(help="The parameters, which set the size and the number of pairs.")]
PARAMS_FILE = Path("params.yaml")


def evaluate(
    predictions: Annotated[
        Path,
        typer.Option(
            help="The folder of the predictions: for each item of the test set a video `<item>.<suffix>`, or "
            "a folder `<item>` of PNG frames."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The output folder.")] = Path("out/evaluation"),
    crops: CropsOption = CROPS_TABLE,
    landmarks: Annotated[Path, typer.Option(help="The folder of the crops' landmarks.")] = Path(
        "data/landmarks"
    ),
    beside: Annotated[
        Path | None, typer.Option(help="Another evaluation to compare with, such as reports/evaluation.")
    ] = None,
    overwrite: Overwrite = False,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Score another method by its output, with the code and the baselines used for this project's models.

    `faceanim test-set` writes the inputs. Each prediction is named after its item and has one square frame
    per driving frame, or one more at the beginning for the source. Use PNG files or a lossless codec, because
    the loss of any other codec lowers the scores. All predictions are checked before any is scored. The
    scores are printed, and `report.html` in the output folder shows all of them and the videos.
    """
    from faceanim.evaluation.evaluate import collect_predictions, nest_metrics, score_items
    from faceanim.evaluation.protocol import REPORTED_FILES
    from faceanim.evaluation.report import write_report
    from faceanim.evaluation.statistics import summarize_scores
    from faceanim.tables import atomic_folder, check_target, write_json

    config = load_params(params)
    size = config.train_animation.model.size
    inputs = [predictions, crops, landmarks, *([] if beside is None else [beside])]
    check_target(out, overwrite, inputs, REPORTED_FILES)
    with atomic_folder(out) as folder, show_progress("evaluate") as on_progress:
        items, method = collect_predictions(config.evaluate, crops, predictions, size, folder, on_progress)
        reference = None if beside is None else load_reference(beside, folder)
        scores = score_items(config.evaluate, items, method, landmarks, folder, on_progress)
        write_json(nest_metrics(scores), folder / "metrics.json")
        write_report(folder, folder / "report.html", {}, reference, None)
    print_summaries(summarize_scores(scores))
    print(out / "report.html")


def load_reference(folder: Path, out: Path) -> "ReferenceRun":
    """Load the evaluation that the one in `out` is compared with.

    Args:
        folder: folder of the reference evaluation.
        out: folder of the new evaluation, whose test set is already written.

    Raises:
        FaceanimError: the folder contains no evaluation, or one on a different test set.
    """
    from faceanim.evaluation import protocol
    from faceanim.evaluation.protocol import SCORES
    from faceanim.evaluation.report import ReferenceRun
    from faceanim.tables import read_rows

    rows = read_rows(folder / protocol.SCORES_FILE, SCORES)
    if protocol.test_set_id(folder) != protocol.test_set_id(out):
        raise FaceanimError(
            f"cannot compare with {folder}: it was scored on a different test set; "
            "use the same crops and parameters for both"
        )
    return ReferenceRun(folder.name, rows)


def print_summaries(summaries: Sequence["MetricSummary"]) -> None:
    """Print scores with their intervals, one table per task and one column per method."""
    from faceanim.evaluation.protocol import METRICS

    for task in dict.fromkeys(summary.task for summary in summaries):
        cells = {(s.metric, s.method): s.interval for s in summaries if s.task == task}
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
    out: Annotated[Path, typer.Argument(help="The output folder.")],
    crops: CropsOption = CROPS_TABLE,
    overwrite: Overwrite = False,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Write the test set for another method: a source image and a lossless driving video for each item."""
    from faceanim.evaluation.test_set_export import export_test_set

    with show_progress("test set") as on_progress:
        count = export_test_set(crops, load_params(params).evaluate.pairs, out, on_progress, overwrite)
    print(f"wrote {count} sources and driving videos to {out}; name each prediction after its driving video")
