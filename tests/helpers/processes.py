"""The processes that work in a folder."""

import time
from pathlib import Path

import psutil


def at_work(folder: Path) -> list[psutil.Process]:
    """The processes whose working directory is a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_until(condition, seconds: float = 60):
    """What a condition gives, as soon as that is something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{condition} gave nothing in {seconds} s")
