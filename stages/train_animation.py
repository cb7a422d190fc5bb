"""Stage `train_animation`: keypoint detector, dense motion, generator and discriminator."""

from pathlib import Path

from faceanim.config import load_params
from faceanim.progress import progress
from faceanim.training.animation import train_animation
from stages.common import start, write_metrics


def main(
    crops: Path,
    landmarks: Path,
    out: Path,
    history: Path,
    metrics: Path,
    checkpoints: Path = Path(".faceanim"),
) -> None:
    """Train, or go on from the last checkpoint of a run that was stopped."""
    config = load_params().train_animation
    with progress("train_animation") as on_progress:
        last = train_animation(
            config,
            crops,
            landmarks,
            out,
            history,
            checkpoints,
            lambda step, losses: on_progress(
                step, config.steps, " ".join(f"{name} {value:.4g}" for name, value in losses.items())
            ),
        )
    write_metrics(last, metrics)


if __name__ == "__main__":
    start(main)
