"""Stage `train_sr`: the super-resolution network, on degraded crops and on the animation model's frames."""

from pathlib import Path

from faceanim.config import load_params
from faceanim.progress import progress
from faceanim.training.super_resolution import train_super_resolution
from stages.common import start, write_metrics


def main(
    crops: Path,
    animation: Path,
    out: Path,
    history: Path,
    metrics: Path,
    checkpoints: Path = Path(".faceanim"),
) -> None:
    """Train, or go on from the last checkpoint of a run that was stopped."""
    config = load_params().train_sr
    with progress("train_sr") as on_progress:
        last = train_super_resolution(
            config,
            crops,
            animation,
            out,
            history,
            checkpoints,
            lambda step, losses: on_progress(step, config.steps, f"L1 {losses['l1']:.4f}"),
        )
    write_metrics(last, metrics)


if __name__ == "__main__":
    start(main)
