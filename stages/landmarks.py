"""Stage `landmarks`: facial landmarks of every frame of every crop."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from faceanim.config import load_params
from faceanim.faces.acceptance import check_landmarks
from faceanim.faces.landmark_stage import detect_landmarks
from faceanim.tables import write_json
from flows.stage_runs import run_sharded_stage
from stages.common import run_stage


def main(
    crops: Annotated[Path, typer.Argument(help="crops.parquet.")],
    folder: Annotated[Path, typer.Argument(help="Folder of the crop files.")],
    out: Annotated[Path, typer.Argument(help="Folder of landmark tables to write, one table per video.")],
    metrics: Annotated[Path, typer.Argument(help="JSON of counts to write.")],
) -> None:
    """Detect the landmarks of the crops that are new or have changed."""
    params = load_params()
    work = partial(detect_landmarks, params.landmarks, params.run, crops, folder, out)
    write_json(run_sharded_stage("landmarks", params.run, work), metrics)
    check_landmarks(params.landmarks, crops, out)


if __name__ == "__main__":
    run_stage(main)
