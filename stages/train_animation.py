"""Stage `train_animation`: keypoint detector, dense motion, generator and discriminator."""

from pathlib import Path

from lightning_fabric.utilities.rank_zero import rank_zero_only

from faceanim.config import load_params
from faceanim.progress import Watcher
from faceanim.tables import write_json
from faceanim.training.animation import train_animation
from flows.stage_runs import run_single_stage
from stages.common import make_run_context, run_stage


def main(
    crops: Path,
    landmarks: Path,
    out: Path,
    history: Path,
    metrics: Path,
    checkpoints: Path = Path(".faceanim"),
) -> None:
    """Train, or go on from the last checkpoint of a run that was stopped."""
    params = load_params()
    config = params.train_animation

    def train(watcher: Watcher) -> dict[str, float]:
        context = make_run_context("train_animation", params.run, config, watcher)
        return train_animation(config, crops, landmarks, out, history, checkpoints, context)

    last = run_single_stage("train_animation", train)
    rank_zero_only(write_json)(last, metrics)


if __name__ == "__main__":
    run_stage(main)
