"""Contents of a folder, to show that nothing was created or changed."""

from pathlib import Path


def describe_files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of the last change, in nanoseconds, of everything below a folder, by path."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
    }
