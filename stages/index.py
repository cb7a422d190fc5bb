"""Stage `index`: from a folder of videos or a VoxCeleb list to index.parquet, split by person."""

from pathlib import Path

from faceanim.config import load_params
from faceanim.data.index import build_index
from stages.common import start, write_metrics


def main(out: Path, metrics: Path) -> None:
    """Write the index and its counts."""
    write_metrics(build_index(load_params().index, out), metrics)


if __name__ == "__main__":
    start(main)
