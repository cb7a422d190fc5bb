"""Work that is done once: a finished item is a Parquet fragment that carries the key of all it depends on.

A step over many items writes one fragment an item, last of all its files. The next run of the step keeps the
fragments whose key still holds, does the rest, and prunes what belongs to no item any more; what is then
there is what a run from nothing would have written. A killed run needs nothing else to be resumed.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from faceanim.config import RunConfig
from faceanim.progress import ProgressCallback
from faceanim.tables import Row, write_table
from faceanim.workers import MapShards, ShardJob, chunk

Item = TypeVar("Item")
RETRY_KEY = ""
"""The key of an outcome that the next run should try again: a crash, a time-out, a network that was down."""


def drop_columns(schema: pa.Schema, *names: str) -> pa.Schema:
    """The schema less some columns."""
    return pa.schema([field for field in schema if field.name not in names])


def write_fragment(
    rows: Sequence[Row], schema: pa.Schema, path: Path, key: str, metadata: Mapping[str, str] | None = None
) -> None:
    """Write an item's rows with the key of what they depend on."""
    write_table(rows, schema, path, {**(metadata or {}), "key": key})


def read_metadata(path: Path) -> dict[str, str]:
    """The text metadata of a fragment, `key` among it; empty where there is no readable fragment."""
    try:
        metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
    except (FileNotFoundError, pa.ArrowInvalid):
        return {}
    return {name.decode(): value.decode() for name, value in metadata.items()}


def is_current(path: Path, key: str) -> bool:
    """Whether a fragment has that key, and the files it names (`path`, `bytes`) lie beside it, whole."""
    if read_metadata(path).get("key") != key:
        return False
    if "path" not in pq.read_schema(path).names:
        return True
    files = pq.read_table(path, columns=["path", "bytes"]).to_pylist()
    return all(
        _file_size(path.parent / row["path"]) == row["bytes"] for row in files if row["path"] is not None
    )


def _file_size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def prune(folder: Path, keep: set[str]) -> int:
    """Remove the entries of a folder that are not to be kept, and say how many went."""
    gone = [path for path in sorted(folder.iterdir()) if path.name not in keep]
    for path in gone:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return len(gone)


def process_items(
    work: ShardJob[Item, bool],
    items: Sequence[Item],
    total: int,
    run: RunConfig,
    map_shards: MapShards,
    on_progress: ProgressCallback,
) -> None:
    """Do the items that are not current, in shards; each writes its own fragment. `total` counts all.

    The work's result is whether the item gave something.
    """
    done, empty = total - len(items), 0
    on_progress(done, total)
    for results in map_shards(work, chunk(items, run.shard_size)):
        done += len(results)
        empty += results.count(False)
        on_progress(done, total, f"{empty} gave nothing" if empty else "")
