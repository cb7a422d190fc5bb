"""Stage `crop`: faces followed by Viola-Jones and cut out of the videos (the paper's section 4)."""

from functools import partial
from pathlib import Path

from faceanim.config import load_params
from faceanim.faces.crop_stage import crop_videos
from faceanim.tables import write_json
from flows.stage_runs import run_sharded_stage
from stages.common import run_stage


def main(index: Path, download: Path, crops: Path, out: Path, metrics: Path) -> None:
    """Crop what is not cropped yet, into `crops`; every sequence, accepted or not, into `out`."""
    params = load_params()
    step = partial(crop_videos, params.crop, params.run, index, download, crops, out)
    write_json(run_sharded_stage("crop", params.run, step), metrics)


if __name__ == "__main__":
    run_stage(main)
