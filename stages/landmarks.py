"""Stage `landmarks`: facial landmarks of every frame of every crop."""

from functools import partial
from pathlib import Path

from faceanim.config import load_params
from faceanim.faces.landmark_stage import landmarks
from faceanim.tables import write_json
from flows.stage_runs import drive
from stages.common import start


def main(crops: Path, folder: Path, out: Path, metrics: Path) -> None:
    """Find the landmarks of new crops of `folder`; a table for each video into the folder `out`."""
    params = load_params()
    step = partial(landmarks, params.landmarks, params.run, crops, folder, out)
    write_json(drive("landmarks", params.run, step), metrics)


if __name__ == "__main__":
    start(main)
