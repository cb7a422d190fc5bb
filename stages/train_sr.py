"""Stage `train_sr`: the super-resolution network, on degraded crops and on generated frames."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from faceanim.config import load_params
from faceanim.training.super_resolution import train_super_resolution
from stages.common import run_stage
from stages.training_runs import CHECKPOINTS, CheckpointsOption, run_training


def main(
    crops: Annotated[Path, typer.Argument(help="crops.parquet.")],
    landmarks: Annotated[Path, typer.Argument(help="Folder of the landmark tables.")],
    animation: Annotated[Path, typer.Argument(help="Folder of the animation model.")],
    out: Annotated[Path, typer.Argument(help="Folder to write the model to.")],
    history: Annotated[Path, typer.Argument(help="CSV of the training curves to write.")],
    metrics: Annotated[Path, typer.Argument(help="JSON of the last losses to write.")],
    checkpoints: CheckpointsOption = CHECKPOINTS,
) -> None:
    """Train the super-resolution network, resuming from the last checkpoint of an interrupted run."""
    params = load_params()
    config = params.train_sr
    train = partial(train_super_resolution, config, crops, landmarks, animation, out, history, checkpoints)
    run_training("train_sr", params.run, config, train, metrics)


if __name__ == "__main__":
    run_stage(main)
