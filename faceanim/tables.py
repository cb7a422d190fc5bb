"""Reading and writing of Parquet tables and small files, and the rule by which every output is replaced.

Every write is atomic.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from faceanim.errors import FaceanimError

Row = dict[str, Any]


def resolve_target(path: Path) -> Path:
    """Resolve the links and `..` of the folder that a path to be written lies in.

    A link at the end of the path is kept: it is replaced, and the file that it points to is not.
    """
    return path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name


def check_target(
    path: Path, overwrite: bool, inputs: Sequence[Path] = (), contents: str | None = None
) -> None:
    """Check, before any work, that an output may be written: the rule of all commands.

    Args:
        path: file or folder to write.
        overwrite: whether an existing one is replaced.
        inputs: files and folders that are read, which are never replaced.
        contents: None for a file. For a folder, a regular expression of the relative paths of the files that
            it will have: a folder with any other file is never replaced. An empty one always is.

    Raises:
        FaceanimError: the output exists, cannot be replaced or cannot be written there.
    """
    try:
        target = resolve_target(path) if contents is None else path.resolve()
        exists, is_folder = _exists(target), target.is_dir()
        parent = next(folder for folder in target.parents if folder.exists())
        read = {file.resolve() for file in inputs}
    except (OSError, RuntimeError) as error:  # for a link to itself Python raises the latter
        reason = error.strerror if isinstance(error, OSError) else "a link leads to itself"
        raise FaceanimError(f"cannot write {path}: {str(reason).lower()}") from None
    if not parent.is_dir():
        raise FaceanimError(f"cannot write {path}: {parent} is not a folder")
    if not os.access(parent, os.W_OK):
        raise FaceanimError(f"cannot write {path}: no permission to write to {parent}")
    if target.resolve() in read or (is_folder and any(file.is_relative_to(target) for file in read)):
        raise FaceanimError(f"cannot write {path}: an input would be overwritten; choose another name")
    if contents is None and is_folder:
        raise FaceanimError(f"cannot write {path}: it is a folder; name a file")
    if contents is not None and exists and not is_folder:
        raise FaceanimError(f"cannot write {path}: it is a file; name a folder")
    if not exists or (contents is not None and not any(target.iterdir())):
        return
    if not overwrite:
        raise FaceanimError(
            f"cannot write {path}: it exists already; choose another name, or replace it with --overwrite "
            "(in Python: overwrite=True)"
        )
    if contents is not None and (foreign := _find_foreign_file(target, contents)) is not None:
        raise FaceanimError(
            f"cannot replace {path}: it contains {foreign}, which this command does not write; "
            "choose another folder"
        )


def _exists(path: Path) -> bool:
    """Check whether a path exists; a link does, even if it points to nothing."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _find_foreign_file(folder: Path, contents: str) -> Path | None:
    """Return the relative path of a file in a folder that does not match an expression; None without one."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return next((file for file in files if not re.fullmatch(contents, file.as_posix())), None)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix, that replaces it when the block succeeds.

    Readers see either the old file or the new one. If the block raises or the process is killed, the old file
    remains.
    """
    target = resolve_target(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=f".tmp{target.suffix}", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces the folder `path` when the block succeeds.

    If the block raises, the old folder remains. If the process is killed, the old or the new one is there, or
    in the instant between two renames neither, and the old one beside it under a hidden name.
    """
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=".", suffix=".tmp", dir=target.parent, ignore_cleanup_errors=True
    ) as name:
        new, old = Path(name) / "new", Path(name) / "old"
        new.mkdir()
        yield new
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise


def write_table(
    rows: Sequence[Row], schema: pa.Schema, path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write rows as Parquet, atomically; the same rows give the same bytes."""
    write_arrow(pa.Table.from_pylist(list(rows), schema=schema.with_metadata(dict(metadata or {}))), path)


def write_arrow(table: pa.Table, path: Path) -> None:
    """Write an Arrow table as Parquet, atomically; the same table gives the same bytes."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_table(path: Path, schema: pa.Schema, later: Iterable[str] = ()) -> pa.Table:
    """Read a Parquet table and check that it has the schema's columns.

    Args:
        path: the table.
        schema: its columns.
        later: columns that tables of earlier releases lack; they are null there.

    Raises:
        FaceanimError: the file is missing, damaged or of another schema.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise FaceanimError(f"{path} is missing; run the stage that writes it (`dvc repro`)") from None
    except pa.ArrowInvalid as error:
        raise FaceanimError(f"cannot read {path}: not a Parquet table ({error})") from None
    for name in later:
        if name not in table.column_names:
            field = schema.field(name)
            position = schema.get_field_index(name)
            table = table.add_column(position, field, pa.nulls(len(table), field.type))
    if not table.schema.equals(schema, check_metadata=False):
        raise FaceanimError(
            f"cannot read {path}: its columns differ from what this version writes; run `dvc repro` again"
        )
    return table


def read_rows(path: Path, schema: pa.Schema, later: Iterable[str] = ()) -> list[Row]:
    """Read a Parquet table as dictionaries; see `read_table`."""
    rows: list[Row] = read_table(path, schema, later).to_pylist()
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
