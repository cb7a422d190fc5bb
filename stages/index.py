"""Stage `index`: from a folder of videos or VoxCeleb's lists to index.parquet, split by person."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceanim.config import load_params
from faceanim.ingest.index import build_index
from faceanim.tables import write_json
from stages.common import run_stage


def format_counts(name: str, counts: Mapping[str, Any]) -> str:
    """Counts as a line such as `test: 525 clips, 90 videos`; a group of counts on a line of its own."""
    plain = [
        f"{count} {key.replace('_', ' ')}" for key, count in counts.items() if not isinstance(count, Mapping)
    ]
    groups = [format_counts(key, group) for key, group in counts.items() if isinstance(group, Mapping)]
    return "\n".join([f"{name}: {', '.join(plain)}", *groups])


def main(out: Path, metrics: Path) -> None:
    """Write the index and its counts, and say what was done."""
    counts = build_index(load_params().index, out)
    write_json(counts, metrics)
    print(format_counts("index", counts), file=sys.stderr)


if __name__ == "__main__":
    run_stage(main)
