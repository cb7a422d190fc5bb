"""Exceptions for problems that the user can solve or that pass with time."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EPERM})
"""Error codes of the operating system for a disk that is full or not writable."""


class FaceanimError(Exception):
    """A problem with the user's input or setup; the message is one line that states what to do.

    Commands print the message and exit with a non-zero code. Any other exception that escapes is a bug and
    keeps its traceback.
    """


class TemporaryError(FaceanimError):
    """A transient problem, such as a site that limits requests or a server that is down.

    Commands exit with `os.EX_TEMPFAIL`, which signals to the caller that a retry is worthwhile.
    """


@contextmanager
def wrap_disk_errors() -> Iterator[None]:
    """Turn errors about a disk that is full or not writable into a message of one line.

    Raises:
        FaceanimError: the disk is full or not writable; finished work is kept.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        path_prefix = f"{error.filename}: " if error.filename else ""
        raise FaceanimError(
            f"{path_prefix}{os.strerror(error.errno).lower()}; finished work is kept: "
            "fix this and run the command again"
        ) from error
