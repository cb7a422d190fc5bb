"""Stage `download`: every video of the index fetched once and verified."""

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
    index: Path,
    videos: Path,
    out: Path,
    metrics: Path,
    part: Annotated[str, typer.Option(help="The share of one machine of several, such as 2/4.")] = "1/1",
) -> None:
    """Fetch what is not there yet, into `videos`; the outcome of each clip into `out`."""
    params = load_params()
    step = partial(
        download_videos, params.download, params.run, index, videos, out, part=Partition.parse(part)
    )
    counts = run_sharded_stage("download", limit_workers(params.run, params.download), step)
    write_json(counts, metrics)
    if passing := counts["passing"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in passing.items())
        print(
            f"download: {sum(passing.values())} videos failed for reasons that pass ({reasons}); "
            f"to try them again: `faceanim retry {' '.join(passing)}`, then `dvc repro`",
            file=sys.stderr,
        )


if __name__ == "__main__":
    run_stage(main)
