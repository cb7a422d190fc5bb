"""One training at a time on a GPU."""

import getpass
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def alone_on(device: str, folder: Path | None = None) -> Iterator[None]:
    """Be the only training on a device: wait, and say so, while another of this user is on it.

    The system ends the other's claim with its process, by whatever cause.

    Args:
        device: identifies it on this machine.
        folder: of the claims; None: the system's for temporary files.
    """
    claims = folder or Path(tempfile.gettempdir())
    claim = FileLock(claims / f"faceanim-{getpass.getuser()}-{device}.lock")
    try:
        claimed = claim.acquire(timeout=0)
    except Timeout:
        print(f"another training is on {device}: this one waits for its turn", file=sys.stderr, flush=True)
        claimed = claim.acquire()
    with claimed:
        yield
