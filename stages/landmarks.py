"""Stage `landmarks`: facial landmarks of every frame of every crop."""

from pathlib import Path

from faceanim.config import load_params
from faceanim.faces.landmarks import landmarks
from faceanim.progress import progress
from faceanim.tables import write_json
from flows.shards import drive
from stages.common import start


def main(crops: Path, folder: Path, out: Path, metrics: Path) -> None:
    """Find the landmarks of new crops of `folder`; a table for each video into the folder `out`."""
    params = load_params()
    with progress("landmarks") as on_progress:
        counts = drive(
            "landmarks",
            params.run,
            lambda map_shards: landmarks(
                params.landmarks, params.run, crops, folder, out, map_shards, on_progress
            ),
        )
    write_json(counts, metrics)


if __name__ == "__main__":
    start(main)
