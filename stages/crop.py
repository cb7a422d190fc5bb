"""Stage `crop`: track faces by Viola-Jones and cut them out of the videos (section 4 of the paper)."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from faceanim.config import load_params
from faceanim.faces.acceptance import check_crops
from faceanim.faces.crop_stage import crop_videos
from faceanim.tables import write_json
from flows.stage_runs import run_sharded_stage
from stages.common import run_stage


def main(
    index: Annotated[Path, typer.Argument(help="index.parquet.")],
    download: Annotated[Path, typer.Argument(help="download.parquet.")],
    crops: Annotated[Path, typer.Argument(help="Folder of the crop files to write, one folder per video.")],
    out: Annotated[Path, typer.Argument(help="crops.parquet to write: one row per sequence.")],
    metrics: Annotated[Path, typer.Argument(help="JSON of counts to write.")],
) -> None:
    """Crop the videos that are new or have changed."""
    params = load_params()
    work = partial(crop_videos, params.crop, params.run, index, download, crops, out)
    write_json(run_sharded_stage("crop", params.run, work), metrics)
    check_crops(params.crop, index, download, out)


if __name__ == "__main__":
    run_stage(main)
