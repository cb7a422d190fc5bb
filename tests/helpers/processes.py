"""Running processes, and waiting for a condition."""

import time
from pathlib import Path

import psutil


def at_work(folder: Path) -> list[psutil.Process]:
    """Return the processes whose working directory is a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_until(condition, seconds: float = 60, interval: float = 0.05):
    """Call a condition, every `interval` seconds, until its result is true; return that result."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(interval)
    raise AssertionError(f"{condition} was not met within {seconds} s")
