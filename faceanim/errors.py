"""The exception that means: the person who runs this can mend it, or time will."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager


class FaceanimError(Exception):
    """A problem with what the user gave or set up; its text is one line that says what to do.

    Commands print the line and exit with a non-zero code; anything else that escapes is a defect of ours
    and keeps its traceback.
    """


class TemporaryError(FaceanimError):
    """A problem that passes by itself: a site that wants to be left alone, a server that is away.

    Commands exit with `os.EX_TEMPFAIL`, by which whoever drives them knows that trying again is worth it.
    """


DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EPERM})
"""What the system says of a disk that is full or may not be written."""


@contextmanager
def wrap_disk_errors() -> Iterator[None]:
    """Turn a disk that is full or may not be written into a line that says so.

    Raises:
        FaceanimError: it is; nothing of what was finished is lost.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        place = f"{error.filename}: " if error.filename else ""
        raise FaceanimError(
            f"{place}{os.strerror(error.errno).lower()}; what is finished is kept: mend that and run it again"
        ) from error
