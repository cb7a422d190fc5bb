"""How hard a run leans on a site: places for fetches and a rest for all, by files that every worker sees."""

import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from faceanim.tables import atomic_path

MAX_BACKOFF_S = 60.0
POLL_INTERVAL_S = 0.05


@dataclass(frozen=True)
class RateLimiter:
    """The limits of one run, whatever runs its shards: threads, processes or other machines.

    Attributes:
        folder: a folder of the run's own, that all its workers share.
        max_concurrent: fetches at a time.
        sleep_s: mean seconds of rest before each.
    """

    folder: Path
    max_concurrent: int
    sleep_s: float

    @contextmanager
    def open(self) -> Iterator["RateLimiter"]:
        """The run that these limits are for; what a killed one left is forgotten."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        try:
            yield self
        finally:
            shutil.rmtree(self.folder)

    @contextmanager
    def slot(self) -> Iterator[bool]:
        """Wait for one of the places, then for a polite while; yield False if nothing may be fetched at all.

        The place is free again when the block ends, or the worker dies.
        """
        if self.is_cooling_down:
            yield False
            return
        lock = self._acquire_slot()
        try:
            time.sleep(self.sleep_s * random.uniform(0.5, 1.5))
            yield not self.is_cooling_down
        finally:
            lock.release()

    def _acquire_slot(self) -> FileLock:
        locks = [FileLock(self.folder / f"slot-{number}") for number in range(self.max_concurrent)]
        while True:
            for lock in locks:
                try:
                    lock.acquire(blocking=False)
                except Timeout:
                    continue
                return lock
            time.sleep(POLL_INTERVAL_S)

    @property
    def is_cooling_down(self) -> bool:
        """Whether somebody has asked all for a rest."""
        return self._cooldown_file.exists()

    def request_cooldown(self, seconds: float) -> None:
        """Let nobody begin a fetch until the run has rested that long."""
        with atomic_path(self._cooldown_file) as temporary:
            temporary.write_text(repr(seconds), encoding="ascii")

    def end_cooldown(self) -> float | None:
        """Take the request back and say how long a rest it asked for; None where nobody asked."""
        if not self.is_cooling_down:
            return None
        seconds = float(self._cooldown_file.read_text(encoding="ascii"))
        self._cooldown_file.unlink()
        return seconds

    @property
    def _cooldown_file(self) -> Path:
        return self.folder / "rest"


def backoff_delay(attempt: int, first_s: float, retry_after_s: float | None) -> float:
    """Seconds to wait after try number `attempt` (from 1): exponential with full jitter, or as asked."""
    if retry_after_s is not None:
        return min(retry_after_s, MAX_BACKOFF_S)
    return random.uniform(0, min(first_s * 2 ** (attempt - 1), MAX_BACKOFF_S))
