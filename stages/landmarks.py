"""Stage `landmarks`: facial landmarks of every frame of every crop."""

from functools import partial
from pathlib import Path

from faceanim.config import load_params
from faceanim.faces.landmark_stage import detect_landmarks
from faceanim.tables import write_json
from flows.stage_runs import run_sharded_stage
from stages.common import run_stage


def main(crops: Path, folder: Path, out: Path, metrics: Path) -> None:
    """Find the landmarks of new crops of `folder`; a table for each video into the folder `out`."""
    params = load_params()
    step = partial(detect_landmarks, params.landmarks, params.run, crops, folder, out)
    write_json(run_sharded_stage("landmarks", params.run, step), metrics)


if __name__ == "__main__":
    run_stage(main)
