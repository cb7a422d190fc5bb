"""Stage `index`: a folder of videos or VoxCeleb's lists to index.parquet, split by person.

Nothing is downloaded here; the split is decided once, in this stage.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from faceanim.config import load_params
from faceanim.ingest.index import build_index, check_people
from faceanim.tables import write_json
from stages.common import run_stage


def format_counts(name: str, counts: Mapping[str, Any]) -> str:
    """Format counts as a line such as `test: 525 clips, 90 videos`, with another line for each group."""
    plain = [
        f"{count} {key.replace('_', ' ')}" for key, count in counts.items() if not isinstance(count, Mapping)
    ]
    groups = [format_counts(key, group) for key, group in counts.items() if isinstance(group, Mapping)]
    return "\n".join([f"{name}: {', '.join(plain)}", *groups])


def main(
    out: Annotated[Path, typer.Argument(help="index.parquet to write: one row per clip.")],
    metrics: Annotated[Path, typer.Argument(help="JSON of counts to write.")],
    left_out: Annotated[Path | None, typer.Option(help="CSV to write: what has no row, and why.")] = None,
) -> None:
    """Write the index, its counts and what was left out, and print the last two.

    The section `index` of params.yaml selects the videos and the held-out people.
    """
    config = load_params().index
    counts = build_index(config, out, left_out)
    write_json(counts, metrics)
    print(format_counts("index", counts), file=sys.stderr)
    check_people(config, counts)


if __name__ == "__main__":
    run_stage(main)
