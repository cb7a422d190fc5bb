"""What DVC leaves half-written where it is killed, and then refuses: it writes both of its files in place."""

import fcntl
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from faceanim.errors import FaceanimError
from faceanim.tables import atomic_path

RWLOCK = Path(".dvc/tmp/rwlock")
"""Which process reads or writes which file, as JSON."""
RWLOCK_GUARD = Path(".dvc/tmp/rwlock.lock")
LOCK = Path("dvc.lock")
LOCK_GUARD = Path(".dvc/tmp/lock")
KEPT = Path(".faceanim/dvc.lock")
"""The last whole one that was seen."""


def mend() -> None:
    """Put right what a kill in the middle of DVC's writing has left.

    Raises:
        FaceanimError: dvc.lock is cut short, and no whole one was seen before.
    """
    if RWLOCK.exists() and not whole(RWLOCK, json.loads):
        with nobody_writes(RWLOCK_GUARD):
            if not whole(RWLOCK, json.loads):
                RWLOCK.unlink()
    if LOCK.exists() and not keep_lock():
        with nobody_writes(LOCK_GUARD):
            if not keep_lock():
                put_back()


@contextmanager
def nobody_writes(guard: Path) -> Iterator[None]:
    """Hold the lock that DVC holds while it writes: somebody's `dvc repro` may be at it just now."""
    guard.parent.mkdir(parents=True, exist_ok=True)
    with guard.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def put_back() -> None:
    """Put the last whole dvc.lock back.

    Raises:
        FaceanimError: none was seen.
    """
    if not KEPT.exists():
        raise FaceanimError(
            f"{LOCK} was cut short by a kill: restore it (`git checkout {LOCK}`) or remove it"
        )
    with atomic_path(LOCK) as temporary:
        temporary.write_bytes(KEPT.read_bytes())
    print(f"{LOCK} was cut short by a kill; it is again as it was before", file=sys.stderr)


def keep_lock() -> bool:
    """Keep a copy of dvc.lock, unless it is not whole; returns whether it is."""
    if not whole(LOCK, YAML(typ="safe", pure=True).load):
        return False
    with atomic_path(KEPT) as temporary:
        temporary.write_bytes(LOCK.read_bytes())
    return True


def whole(path: Path, load: Callable[[str], Any]) -> bool:
    """Whether a file is there and all of it was written: it can be loaded, and is not empty."""
    try:
        return load(path.read_text(encoding="utf-8")) is not None
    except (FileNotFoundError, ValueError, YAMLError):
        return False
