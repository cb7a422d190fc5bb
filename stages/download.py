"""Stage `download`: fetch and verify every video of the index once."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from faceanim.config import load_params
from faceanim.ingest.download import Partition, download_videos, limit_workers
from faceanim.tables import write_json
from flows.stage_runs import run_sharded_stage
from stages.common import run_stage


def main(
    index: Annotated[Path, typer.Argument(help="index.parquet.")],
    videos: Annotated[Path, typer.Argument(help="Folder to write the videos to.")],
    out: Annotated[Path, typer.Argument(help="download.parquet to write: the outcome of each clip.")],
    metrics: Annotated[Path, typer.Argument(help="JSON of counts to write.")],
    part: Annotated[str, typer.Option(help="Part to download on this machine, such as 2/4.")] = "1/1",
) -> None:
    """Fetch the videos that are not there yet."""
    params = load_params()
    work = partial(
        download_videos, params.download, params.run, index, videos, out, part=Partition.parse(part)
    )
    counts = run_sharded_stage("download", limit_workers(params.run, params.download), work)
    write_json(counts, metrics)
    if transient := counts["passing"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in transient.items())
        print(
            f"download: {sum(transient.values())} videos failed for transient reasons ({reasons}); "
            f"to try them again: `faceanim retry {' '.join(transient)}`, then `dvc repro`",
            file=sys.stderr,
        )


if __name__ == "__main__":
    run_stage(main)
