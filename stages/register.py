"""Stage `register`: both networks as one version in MLflow, and the verdict on the alias `champion`."""

import csv
import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from faceanim.config import Params, load_params
from faceanim.evaluation.evaluate import evaluate
from faceanim.evaluation.record import CLIPS
from faceanim.progress import progress
from faceanim.registry.card import data_manifest, licence_notes
from faceanim.registry.register import Evaluated, Registered, register
from faceanim.schemas import CROPS, DOWNLOAD, INDEX, TEST_SET
from faceanim.tables import read_rows
from faceanim.tracking import flatten, tracking_uri
from stages.common import revision, start, write_metrics


def read_curve(path: Path) -> list[dict[str, float]]:
    """The numeric columns of a training history."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {key: float(value) for key, value in row.items() if value and key != "phase"}
            for row in csv.DictReader(file)
        ]


def register_it(params: Params, evaluated: Evaluated, crops: Path, landmarks: Path) -> Registered:
    """Register, and score the champion again where its figures are of another test set."""
    with tempfile.TemporaryDirectory() as temporary, progress("score again") as on_progress:

        def score_again(models: Path) -> Path:
            out = Path(tempfile.mkdtemp(dir=temporary))
            evaluate(params.evaluate, crops, landmarks, models, out, on_progress)
            return out

        return register(params.register_, tracking_uri(params.run), evaluated, score_again)


def main(
    index: Path,
    download: Path,
    crops: Path,
    landmarks: Path,
    models: Path,
    evaluation: Path,
    metrics: Path,
    out: Path,
    history: Annotated[list[Path], typer.Option()],
) -> None:
    """Register the evaluated models and write what became of them to `out`."""
    params = load_params()
    tables = ((index, INDEX), (download, DOWNLOAD), (crops, CROPS), (evaluation / CLIPS, TEST_SET))
    evaluated = Evaluated(
        models=models,
        evaluation=evaluation,
        metrics=json.loads(metrics.read_text(encoding="utf-8")),
        params=flatten(params.model_dump(mode="json", exclude={"run", "register_"})),
        curves={path.stem: read_curve(path) for path in history},
        tags=revision(),
        manifest=data_manifest(*(read_rows(*table) for table in tables)),
        licences=licence_notes(params),
    )
    registered = register_it(params, evaluated, crops, landmarks)
    against = None if registered.against is None else registered.against.version
    written = {"version": registered.version, "champion": registered.champion, "against": against}
    write_metrics({**written, "verdict": registered.verdict}, out)
    stands = "is the champion" if registered.champion else "is registered; it is not the champion"
    print(f"{params.register_.model_name} version {registered.version} {stands}: {registered.verdict}")


if __name__ == "__main__":
    start(main)
