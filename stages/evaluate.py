"""Stage `evaluate`: the pinned protocol on the held-out people, beside both baselines."""

from pathlib import Path

from faceanim.config import load_params
from faceanim.evaluation.evaluate import evaluate
from faceanim.progress import progress
from stages.common import start, write_metrics


def main(crops: Path, landmarks: Path, models: Path, out: Path, metrics: Path) -> None:
    """Score the models in `models`; per-clip tables and the picture grid go to the folder `out`."""
    with progress("evaluate") as on_progress:
        figures = evaluate(load_params().evaluate, crops, landmarks, models, out, on_progress)
    write_metrics(figures, metrics)


if __name__ == "__main__":
    start(main)
