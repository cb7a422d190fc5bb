"""Compilation of kernels by numba, kept on disk where possible."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function at its first call, and keep the machine code.

    It is kept beside the source, or else in the user's cache folder. Where neither can be written, as in many
    containers, each process compiles for itself.

    Args:
        options: further options of `numba.njit`.
    """

    def compile_function(function: Callable[..., Any]) -> Any:
        try:
            kernel = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder for the cache
            return numba.njit(**options)(function)
        # Numba compares the date of the kernel's own file only, and would keep machine code that contains an
        # old version of what the kernel calls in other files.
        kernel._cache._cache_file._source_stamp = _stamp_sources()
        return kernel

    return compile_function


@cache
def _stamp_sources() -> str:
    """Compute a digest of all sources of the renderer."""
    folder = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
