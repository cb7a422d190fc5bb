"""Stage `evaluate`: the pinned protocol on the held-out people, beside both baselines."""

from pathlib import Path

from faceanim.config import load_params
from faceanim.evaluation.evaluate import evaluate_model
from faceanim.tables import write_json
from flows.stage_runs import run_single_stage
from stages.common import run_stage


def main(crops: Path, landmarks: Path, models: Path, out: Path, metrics: Path) -> None:
    """Score the models in `models`; per-clip tables and the picture grid go to the folder `out`."""
    config = load_params().evaluate
    figures = run_single_stage(
        "evaluate", lambda watcher: evaluate_model(config, crops, landmarks, models, out, watcher)
    )
    write_json(figures, metrics)


if __name__ == "__main__":
    run_stage(main)
