"""Stage `register`: both networks as one version in MLflow, and the decision on the champion."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from faceanim.config import Params, load_params
from faceanim.evaluation.evaluate import evaluate_model
from faceanim.evaluation.protocol import CLIPS_FILE, TEST_SET
from faceanim.evaluation.report import ReferenceRun, write_report
from faceanim.mlflow_address import resolve_tracking_uri
from faceanim.progress import show_progress
from faceanim.registry.card import build_manifest, collect_license_notes
from faceanim.registry.register import EvaluatedModel, RegistrationResult, register_model
from faceanim.schemas import CROPS, DOWNLOAD, INDEX
from faceanim.tables import flatten_keys, read_rows, write_json
from stages.common import collect_revision_tags, read_curve, run_stage


def register_evaluated(
    params: Params, evaluated: EvaluatedModel, crops: Path, landmarks: Path
) -> RegistrationResult:
    """Register the model, and score the champion again if it was scored on a different test set."""
    with tempfile.TemporaryDirectory() as temporary, show_progress("score again") as on_progress:

        def rescore(models: Path) -> Path:
            out = Path(tempfile.mkdtemp(dir=temporary))
            evaluate_model(params.evaluate, crops, landmarks, models, out, on_progress)
            return out

        return register_model(params.register_, resolve_tracking_uri(params.run), evaluated, rescore)


def make_reference(registered: RegistrationResult) -> ReferenceRun | None:
    """Build the report's reference run: the champion that the new version was compared with, if any."""
    against = registered.against
    return None if against is None else ReferenceRun(f"version {against.version}", against.scores)


def main(
    index: Annotated[Path, typer.Argument(help="index.parquet.")],
    download: Annotated[Path, typer.Argument(help="download.parquet.")],
    crops: Annotated[Path, typer.Argument(help="crops.parquet.")],
    landmarks: Annotated[Path, typer.Argument(help="Folder of the landmark tables.")],
    models: Annotated[Path, typer.Argument(help="Folder with `animation` and `super_resolution`.")],
    evaluation: Annotated[Path, typer.Argument(help="Folder that the stage `evaluate` wrote.")],
    metrics: Annotated[Path, typer.Argument(help="JSON that the stage `evaluate` wrote.")],
    out: Annotated[Path, typer.Argument(help="JSON of the version and its verdict to write.")],
    report: Annotated[Path, typer.Argument(help="HTML report to write.")],
    history: Annotated[list[Path], typer.Option(help="CSV of training curves; may be repeated.")],
) -> None:
    """Register the evaluated models, decide on the champion, and write the report."""
    params = load_params()
    tables = ((index, INDEX), (download, DOWNLOAD), (crops, CROPS), (evaluation / CLIPS_FILE, TEST_SET))
    evaluated = EvaluatedModel(
        models=models,
        evaluation=evaluation,
        metrics=json.loads(metrics.read_text(encoding="utf-8")),
        params=flatten_keys(params.model_dump(mode="json", exclude={"run", "register_"})),
        curves={path.stem: read_curve(path) for path in history},
        tags=collect_revision_tags(),
        manifest=build_manifest(*(read_rows(*table) for table in tables)),
        licences=collect_license_notes(params),
    )
    registered = register_evaluated(params, evaluated, crops, landmarks)
    against = None if registered.against is None else registered.against.version
    written = {"version": registered.version, "champion": registered.champion, "against": against}
    write_json({**written, "verdict": registered.verdict}, out)
    standing = "is the champion" if registered.champion else "is not the champion"
    verdict = f"Version {registered.version} {standing}: {registered.verdict}"
    write_report(
        evaluation, report, {path.stem: path for path in history}, make_reference(registered), verdict
    )
    print(f"{params.register_.model_name}: {verdict}")


if __name__ == "__main__":
    run_stage(main)
