"""Stage `evaluate`: score the models on the held-out people by the pinned protocol."""

from pathlib import Path
from typing import Annotated

import typer

from faceanim.config import load_params
from faceanim.evaluation.evaluate import evaluate_model, summarize_metrics
from faceanim.tables import write_json
from flows.stage_runs import run_single_stage
from stages.common import run_stage


def main(
    crops: Annotated[Path, typer.Argument(help="crops.parquet.")],
    landmarks: Annotated[Path, typer.Argument(help="Folder of the landmark tables.")],
    models: Annotated[Path, typer.Argument(help="Folder with `animation` and `super_resolution`.")],
    out: Annotated[Path, typer.Argument(help="Folder to write scores, videos and images to.")],
    metrics: Annotated[Path, typer.Argument(help="JSON of all metrics to write.")],
    summary: Annotated[Path, typer.Argument(help="JSON of the few metrics that DVC shows, to write.")],
) -> None:
    """Score the models beside both baselines."""
    config = load_params().evaluate
    scored = run_single_stage(
        "evaluate", lambda watcher: evaluate_model(config, crops, landmarks, models, out, watcher)
    )
    write_json(scored, metrics)
    write_json(summarize_metrics(scored), summary)


if __name__ == "__main__":
    run_stage(main)
