"""Stage `evaluate`: the pinned protocol on the held-out people, beside both baselines."""

from pathlib import Path

from faceanim.config import load_params
from faceanim.evaluation.evaluate import evaluate
from faceanim.tables import write_json
from flows.stage_runs import report
from stages.common import start


def main(crops: Path, landmarks: Path, models: Path, out: Path, metrics: Path) -> None:
    """Score the models in `models`; per-clip tables and the picture grid go to the folder `out`."""
    config = load_params().evaluate
    figures = report("evaluate", lambda watcher: evaluate(config, crops, landmarks, models, out, watcher))
    write_json(figures, metrics)


if __name__ == "__main__":
    start(main)
