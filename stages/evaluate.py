"""Stage `evaluate`: the pinned protocol on the held-out people, beside both baselines."""

from pathlib import Path

from faceanim.config import load_params
from faceanim.evaluation.evaluate import evaluate
from faceanim.progress import progress
from faceanim.tables import write_json
from stages.common import start


def main(crops: Path, landmarks: Path, models: Path, out: Path, metrics: Path) -> None:
    """Score the models in `models`; per-clip tables and the picture grid go to the folder `out`."""
    with progress("evaluate") as on_progress:
        figures = evaluate(load_params().evaluate, crops, landmarks, models, out, on_progress)
    write_json(figures, metrics)


if __name__ == "__main__":
    start(main)
