"""MLflow's SQLite database: its lock, a snapshot to read, and paths that follow when its folder moves.

MLflow stores the places of files as absolute paths. Ours are beside the database, so a project that was
moved, copied or mounted elsewhere has them at another place than recorded. Does not import MLflow.
"""

import itertools
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlparse

from filelock import FileLock

ARTIFACTS = "artifacts"
"""Folder beside the database with the files of runs and models."""
RECORDED = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)
"""Tables and columns in which MLflow records places of files."""
RUNS, MODELS = "runs", "logged_models"
"""Tables whose rows have a folder of their own."""
BUSY_TIMEOUT_S = 60.0
READER_TIMEOUT_S = 1.0
WAL_FORMAT = 2
"""Byte 18 of a database in write-ahead mode, which SQLite reads only beside files that it creates."""

_numbers = itertools.count()
_snapshots: list[sqlite3.Connection] = []
"""Connections that keep the snapshots in memory until the process ends."""


@dataclass(frozen=True)
class Relocation:
    """A recorded place that is to be changed.

    Attributes:
        table: table of the row.
        column: column of the place.
        row: SQLite's number of the row.
        place: the new address or path.
    """

    table: str
    column: str
    row: int
    place: str


@contextmanager
def lock_database(database: Path | None) -> Iterator[None]:
    """Hold the lock of a database file for writing, after a check that it can be opened.

    MLflow creates the tables of a new database when it opens it; if two processes do so at once, one fails.
    """
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    # MLflow would retry a file that cannot be opened for minutes.
    sqlite3.connect(database).execute("pragma user_version").connection.close()
    with FileLock(f"{database}.lock"):
        yield


def update_recorded_places(database: Path, timeout_s: float = BUSY_TIMEOUT_S) -> int:
    """Record the places of files anew if the folder of a database has moved; returns how many changed.

    One transaction, so that other processes see all of the old places or all of the new ones.

    Args:
        database: an existing database.
        timeout_s: seconds to wait for another process that writes.

    Raises:
        sqlite3.Error: the database cannot be written.
    """
    with closing(sqlite3.connect(database, timeout_s, isolation_level=None)) as connection:
        if not find_relocations(connection, database):
            return 0
        connection.execute("begin immediate")
        relocations = find_relocations(connection, database)  # another process may have been faster
        relocate(connection, relocations)
        connection.execute("commit")
    return len(relocations)


def open_snapshot(database: Path) -> str:
    """Copy a database to memory, with the places of files where they are now; returns SQLAlchemy's address.

    Reading creates no file and takes no lock beyond SQLite's own for reading, so that it works where nothing
    can be written. Where it can, a database that has moved is put right as well, for MLflow's own commands.

    Raises:
        OSError: the database cannot be read.
        sqlite3.Error: the file is damaged or not a database.
    """
    name = f"file:faceanim-{os.getpid()}-{next(_numbers)}?mode=memory&cache=shared"
    snapshot = sqlite3.connect(name, uri=True, isolation_level=None, check_same_thread=False)
    _snapshots.append(snapshot)
    copy_database(database, snapshot)
    relocations = find_relocations(snapshot, database)
    relocate(snapshot, relocations)
    if relocations and os.access(database, os.W_OK) and os.access(database.resolve().parent, os.W_OK):
        # The snapshot is right in any case; a process that is writing puts the database right itself.
        with suppress(sqlite3.OperationalError):
            update_recorded_places(database, READER_TIMEOUT_S)
    return f"sqlite:///{name}&uri=true"


def count_versions(database: Path) -> int:
    """Count the registered versions of all models in a database."""
    with closing(sqlite3.connect(":memory:")) as copy:
        copy_database(database, copy)
        tables = {name for (name,) in copy.execute("select name from sqlite_master where type = 'table'")}
        if "model_versions" not in tables:
            return 0
        return int(copy.execute("select count(*) from model_versions").fetchone()[0])


def copy_database(database: Path, target: sqlite3.Connection) -> None:
    """Copy a database into another without creating a file beside it."""
    with database.open("rb") as file:
        header = file.read(20)
    if header[18:19] != bytes([WAL_FORMAT]):
        try:
            back_up(f"file:{quote(str(database.resolve()))}?mode=ro", target)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise
        else:
            return
    # What a killed process left in the journal can only be read by writing it to the database: to a copy.
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / database.name
        for suffix in ("", "-journal", "-wal"):
            if (source := Path(f"{database.resolve()}{suffix}")).exists():
                shutil.copyfile(source, f"{copy}{suffix}")
        back_up(f"file:{quote(str(copy))}?mode=rw", target)


def back_up(uri: str, target: sqlite3.Connection) -> None:
    """Copy the database of an address in SQLite's form."""
    with closing(sqlite3.connect(uri, BUSY_TIMEOUT_S, uri=True)) as source:
        source.backup(target)


def find_relocations(connection: sqlite3.Connection, database: Path) -> list[Relocation]:
    """List the recorded places that are to be changed, because they moved together with the database.

    Servers, object stores, and folders that were never beside the database are left alone.
    """
    database = database.resolve()
    here = database.parent
    recorded = list(read_places(connection))
    found = []
    for old in find_old_folders(recorded, here):
        original = is_there(old / database.name)
        if not has_moved(old, here, recorded, original=original):
            continue
        for item in recorded:
            path = local_path(item.place)
            if path is None or not path.is_relative_to(old):
                continue
            current = here / path.relative_to(old)
            # Earlier releases wrote new files to the old place after a move; they stay reachable there.
            if original or is_there(current) or not is_there(path):
                place = current.as_uri() if item.place.startswith("file:") else str(current)
                found.append(Relocation(item.table, item.column, item.row, place))
    return found


def find_old_folders(recorded: list[Relocation], here: Path) -> list[Path]:
    """List the other folders than `here` in which experiments' files are recorded as beside the database."""
    places = (local_path(item.place) for item in recorded if item.table == "experiments")
    return sorted({path.parent for path in places if path and path.name == ARTIFACTS} - {here})


def has_moved(old: Path, here: Path, recorded: list[Relocation], *, original: bool) -> bool:
    """Check whether a recorded folder is a former place of the database's folder, and not one apart from it.

    Args:
        old: the recorded folder.
        here: the folder of the database.
        recorded: all recorded places.
        original: a database is at the old place.
    """
    if is_there(old) and old.samefile(here):  # mounted twice, or reached by a link
        return False
    if original:
        return True
    runs, models = (
        [path for item in recorded if item.table == table and (path := local_path(item.place))]
        for table in (RUNS, MODELS)
    )
    if any(is_there(here / path.relative_to(old)) for path in runs + models if path.is_relative_to(old)):
        return True
    # A run may have no files, but a model has: if none is here, they may be on a disk that is not mounted.
    has_models = any(path.is_relative_to(old) for path in models)
    return old.name == here.name and not has_models and not is_there(old)


def relocate(connection: sqlite3.Connection, relocations: list[Relocation]) -> None:
    """Change recorded places."""
    for item in relocations:
        connection.execute(
            f'update "{item.table}" set "{item.column}" = ? where rowid = ?',
            (item.place, item.row),
        )


def read_places(connection: sqlite3.Connection) -> Iterator[Relocation]:
    """Yield the recorded places as they are; a new database has none."""
    for table, column in RECORDED:
        columns = {row[1] for row in connection.execute(f'pragma table_info("{table}")')}
        if column in columns:
            query = f'select rowid, "{column}" from "{table}" where "{column}" is not null'
            yield from (Relocation(table, column, row, place) for row, place in connection.execute(query))


def is_there(path: Path) -> bool:
    """Check whether a path exists and can be reached: the old place may be in another user's home."""
    return os.access(path, os.F_OK)


def local_path(place: str) -> Path | None:
    """Return the absolute local path of a recorded place, an address or a path; None if it is not local."""
    if place.startswith("/"):
        return Path(place)
    parsed = urlparse(place)
    if parsed.scheme == "file" and parsed.netloc in ("", "localhost"):
        return Path(unquote(parsed.path))
    return None
