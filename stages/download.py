"""Stage `download`: every video of the index fetched once and verified."""

from pathlib import Path

from faceanim.config import load_params
from faceanim.data.download import download
from faceanim.progress import progress
from flows.shards import drive
from stages.common import start, write_metrics


def main(index: Path, videos: Path, out: Path, metrics: Path) -> None:
    """Fetch what is not there yet, into `videos`; the outcome of each clip into `out`."""
    params = load_params()
    with progress("download") as on_progress:
        counts = drive(
            "download",
            params.run,
            lambda map_shards: download(
                params.download, params.run, index, videos, out, map_shards, on_progress
            ),
        )
    write_metrics(counts, metrics)


if __name__ == "__main__":
    start(main)
