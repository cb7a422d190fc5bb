"""Incremental processing: each finished item is a Parquet fragment with the key of everything it depends on.

A step over many items writes one fragment per item, after the item's other files. The next run of the step
keeps the fragments whose key is current, processes the other items, and prunes what belongs to no item; the
result equals that of a run from scratch. An interrupted run needs nothing else to resume.
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
"""Key of an outcome that the next run should retry, such as a crash, a timeout or a network failure."""


def drop_columns(schema: pa.Schema, *names: str) -> pa.Schema:
    """Return the schema without some of its columns."""
    return pa.schema([field for field in schema if field.name not in names])


def write_fragment(
    rows: Sequence[Row], schema: pa.Schema, path: Path, key: str, metadata: Mapping[str, str] | None = None
) -> None:
    """Write the rows of an item, with the key of everything that they depend on."""
    write_table(rows, schema, path, {**(metadata or {}), "key": key})


def read_metadata(path: Path) -> dict[str, str]:
    """Read the text metadata of a fragment, including `key`; empty if the fragment is not readable."""
    try:
        metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
    except (FileNotFoundError, pa.ArrowInvalid):
        return {}
    return {name.decode(): value.decode() for name, value in metadata.items()}


def is_current(path: Path, key: str) -> bool:
    """Check whether a fragment has that key and the files that it lists (`path`, `bytes`) are complete."""
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
    """Remove all entries of a folder except those to keep, and return the number removed."""
    unused = [path for path in sorted(folder.iterdir()) if path.name not in keep]
    for path in unused:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return len(unused)


def process_items(
    job: ShardJob[Item, bool],
    items: Sequence[Item],
    total: int,
    run: RunConfig,
    map_shards: MapShards,
    on_progress: ProgressCallback,
) -> None:
    """Process the items that are not current, in shards; each item writes its own fragment.

    Args:
        job: processes an item and returns whether it gave any output.
        items: the items that are not current.
        total: number of all items, including current ones.
        run: size of the shards.
        map_shards: mapper of the shards.
        on_progress: receives the number of finished items.
    """
    done, empty = total - len(items), 0
    on_progress(done, total)
    for results in map_shards(job, chunk(items, run.shard_size)):
        done += len(results)
        empty += results.count(False)
        on_progress(done, total, f"{empty} without output" if empty else "")
