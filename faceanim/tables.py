"""Reading and writing of Parquet tables and small files; every write is atomic."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from faceanim.errors import FaceanimError

Row = dict[str, Any]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix, that replaces it when the block succeeds.

    Readers see either the old file or the new one. If the block raises or the process is killed, the old file
    remains.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=f".tmp{path.suffix}", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_table(
    rows: Sequence[Row], schema: pa.Schema, path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write rows as Parquet, atomically; the same rows give the same bytes."""
    write_arrow(pa.Table.from_pylist(list(rows), schema=schema.with_metadata(dict(metadata or {}))), path)


def write_arrow(table: pa.Table, path: Path) -> None:
    """Write an Arrow table as Parquet, atomically; the same table gives the same bytes."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """Read a Parquet table and check that it has the schema's columns.

    Raises:
        FaceanimError: the file is missing, damaged or of another schema.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise FaceanimError(f"{path} is missing; run the stage that writes it (`dvc repro`)") from None
    except pa.ArrowInvalid as error:
        raise FaceanimError(f"cannot read {path}: not a Parquet table ({error})") from None
    if not table.schema.equals(schema, check_metadata=False):
        raise FaceanimError(
            f"cannot read {path}: its columns differ from what this version writes; run `dvc repro` again"
        )
    return table


def read_rows(path: Path, schema: pa.Schema) -> list[Row]:
    """Read a Parquet table as dictionaries; see `read_table`."""
    rows: list[Row] = read_table(path, schema).to_pylist()
    return rows


def write_json(content: Any, path: Path) -> None:
    """Write JSON atomically, for people and as DVC metrics: sorted keys, floats rounded to six digits."""
    with atomic_path(path) as temporary:
        text = json.dumps(_round_floats(content), indent=2, sort_keys=True)
        temporary.write_text(text + "\n", encoding="utf-8")


def _round_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _round_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_round_floats(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


def file_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_key(*parts: object) -> str:
    """Compute the SHA-256 of the canonical JSON of parts: input hashes, a config section, a code version."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def flatten_keys(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings to one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= (
            flatten_keys(value, f"{prefix}{key}.")
            if isinstance(value, Mapping)
            else {f"{prefix}{key}": value}
        )
    return flat
