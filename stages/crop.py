"""Stage `crop`: faces followed by Viola-Jones and cut out of the videos (the paper's section 4)."""

from functools import partial
from pathlib import Path

from faceanim.config import load_params
from faceanim.faces.crop_stage import crop
from faceanim.tables import write_json
from flows.stage_runs import drive
from stages.common import start


def main(index: Path, download: Path, crops: Path, out: Path, metrics: Path) -> None:
    """Crop what is not cropped yet, into `crops`; every sequence, accepted or not, into `out`."""
    params = load_params()
    step = partial(crop, params.crop, params.run, index, download, crops, out)
    write_json(drive("crop", params.run, step), metrics)


if __name__ == "__main__":
    start(main)
