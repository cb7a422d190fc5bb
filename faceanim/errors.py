"""Exceptions for problems that the user can solve or that pass with time."""

import errno
import os
import re
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


class MissingPackageError(FaceanimError, ImportError):
    """A package that is not installed; the message names the extra of faceanim that contains it."""


DISTRIBUTIONS = {
    "c2pa": "c2pa-python",
    "cryptography": "c2pa-python",  # which depends on it
    "cv2": "opencv-python-headless",
    "dlib": "dlib-bin",
    "google": "onnx",  # which depends on protobuf
    "markupsafe": "jinja2",  # which depends on it
    "pil": "pillow",
    "psycopg2": "psycopg2-binary",
    "pydantic_core": "pydantic",
    "ruamel": "ruamel-yaml",
    "skimage": "scikit-image",
}
"""Requirements that bring a module of another name, by the module's name in lower case."""
OWN_PACKAGES = ("faceanim", "flows", "stages")


@contextmanager
def name_missing_packages(task: str = "", alternative: str = "") -> Iterator[None]:
    """Turn the failed import of a package that is not installed into a line that names its extra.

    A missing module of the project itself is a bug and keeps its traceback.

    Args:
        task: task that needs the package, such as `export to ONNX`.
        alternative: what to do instead of installing it.

    Raises:
        MissingPackageError: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or OWN_PACKAGES[0]).partition(".")[0]
        if module in OWN_PACKAGES:
            raise
        requirement = find_requirement(module)
        remedy = f"run pip install '{requirement or 'faceanim'}'"
        if requirement is None:
            remedy = f"another package depends on it: {remedy} again, with its extras"
        line = f"{module} is not installed; {remedy}"
        prefix, suffix = (f"cannot {task}: " if task else ""), (f", or {alternative}" if alternative else "")
        raise MissingPackageError(f"{prefix}{line}{suffix}", name=module) from None


def find_requirement(module: str) -> str | None:
    """Find what to install for a module, by the metadata of the installed project.

    Returns:
        `faceanim[app]` for a module of the extra `app`, `faceanim` for that of any other dependency; None if
        the project does not depend on it.
    """
    from importlib import metadata

    name = DISTRIBUTIONS.get(module.lower(), module)
    try:
        requirements = metadata.requires("faceanim") or []
    except metadata.PackageNotFoundError:  # the code runs from a folder and is not installed
        return None
    for requirement in requirements:
        distribution = re.match(r"[\w.-]+", requirement)
        if distribution and _normalize(distribution[0]) == _normalize(name):
            extra = re.search(r"extra == ['\"]([\w-]+)", requirement)
            return f"faceanim[{extra[1]}]" if extra else "faceanim"
    return None


def _normalize(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


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
