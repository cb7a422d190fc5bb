"""Rate limits of one run: slots for fetches and a common cooldown, as files that all workers share."""

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
"""Longest wait before a retry, in seconds."""
POLL_INTERVAL_S = 0.05
"""Seconds between two attempts to acquire a slot."""


@dataclass(frozen=True)
class RateLimiter:
    """Rate limits of one run; they hold whether threads, processes or other machines run its shards.

    Attributes:
        folder: folder used by this run only and shared by all its workers.
        max_concurrent: largest number of concurrent fetches.
        sleep_s: mean pause before each fetch, in seconds.
    """

    folder: Path
    max_concurrent: int
    sleep_s: float

    @contextmanager
    def open(self) -> Iterator["RateLimiter"]:
        """Hold the shared folder for the duration of a run; leftovers of a killed run are removed first."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        try:
            yield self
        finally:
            shutil.rmtree(self.folder)

    @contextmanager
    def slot(self) -> Iterator[bool]:
        """Hold one of the slots for a fetch; yields False if a cooldown forbids it.

        The wait for a slot is followed by a random pause of `sleep_s` on average. The slot is released when
        the block ends or the worker dies.
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
        """Return whether a cooldown was requested and not ended yet."""
        return self._cooldown_file.exists()

    def request_cooldown(self, seconds: float) -> None:
        """Block new fetches of all workers until the run has paused for this long."""
        with atomic_path(self._cooldown_file) as temporary:
            temporary.write_text(repr(seconds), encoding="ascii")

    def end_cooldown(self) -> float | None:
        """Clear the cooldown request and return its length in seconds, or None if there was no request."""
        if not self.is_cooling_down:
            return None
        seconds = float(self._cooldown_file.read_text(encoding="ascii"))
        self._cooldown_file.unlink()
        return seconds

    @property
    def _cooldown_file(self) -> Path:
        return self.folder / "rest"


def backoff_delay(attempt: int, first_s: float, retry_after_s: float | None) -> float:
    """Compute the seconds to wait before the next attempt.

    Args:
        attempt: number of the attempt that failed, from 1.
        first_s: upper bound of the first delay; it doubles with each attempt, with full jitter.
        retry_after_s: delay requested by the site, used instead of the exponential one.

    Returns:
        Delay in seconds, up to `MAX_BACKOFF_S`.
    """
    if retry_after_s is not None:
        return min(retry_after_s, MAX_BACKOFF_S)
    return random.uniform(0, min(first_s * 2 ** (attempt - 1), MAX_BACKOFF_S))
