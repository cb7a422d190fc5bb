"""Search of a folder for videos, through links, with a reason for each file that is left out."""

import csv
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from faceanim.schemas import LEFT_OUT_COLUMNS, LeftOutReason
from faceanim.tables import atomic_path

VIDEO_SUFFIXES = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v"),  # read as MOV
        *(".mkv", ".webm"),
        *(".avi", ".divx", ".wmv", ".asf"),
        *(".mts", ".m2ts", ".m2t", ".ts"),  # MPEG transport streams
        *(".mpg", ".mpeg", ".mpe", ".m2p", ".vob", ".mod", ".tod", ".m1v", ".m2v", ".mpv"),
    }
)
"""File name suffixes of the videos that are read, lower case: those of the containers that `media` opens."""
OTHER_VIDEO_SUFFIXES = frozenset(
    {
        *(".flv", ".ogv", ".ogm", ".rm", ".rmvb", ".mxf", ".dv", ".gif", ".apng", ".y4m"),
        *(".h264", ".264", ".h265", ".265", ".hevc", ".ivf", ".nut", ".wtv", ".mjpeg", ".mjpg", ".webp"),
    }
)
"""File name suffixes of videos that are not read, lower case."""
NAMES_SHOWN = 5
"""Names that the summary shows for each reason; the table has all of them."""

_EXPLANATIONS = {
    LeftOutReason.UNSUPPORTED_FORMAT: "a format that is not read; convert it: ffmpeg -i IN OUT.mp4",
    LeftOutReason.NO_PERSON: "not in a folder named after the person; move it into one",
    LeftOutReason.BROKEN_LINK: "a link that leads nowhere; mend or remove it",
    LeftOutReason.LISTED_ALREADY: "a link to what is listed under another name",
    LeftOutReason.LINK_LOOP: "a link to a folder that contains it",
    LeftOutReason.UNREADABLE: "not readable; change its permissions",
    LeftOutReason.NOT_A_FILE: "neither a file nor a folder",
    LeftOutReason.NOT_A_VIDEO: "not a video by its suffix",
    LeftOutReason.HIDDEN: "its name starts with a dot",
}


class LeftOut(NamedTuple):
    """File, link or folder that is not listed, with the reason."""

    path: Path
    reason: LeftOutReason


class FolderListing(NamedTuple):
    """Videos below a folder, and everything else in it.

    Attributes:
        videos: paths through the folder, at least two levels below it, sorted.
        left_out: sorted by path.
        linked_folders: links to folders that were followed, sorted.
    """

    videos: list[Path]
    left_out: list[LeftOut]
    linked_folders: list[Path]


def list_folder(root: Path) -> FolderListing:
    """List the videos below a folder, each once; what is not a link is preferred to a link to it.

    Args:
        root: folder with a folder for each person.
    """
    walk = _Walk(root)
    walk.visit(root)
    # Only now, and links to files last, so that no link takes the place of what it leads to.
    while walk.links:
        walk.follow(walk.links.popleft())
    for link in walk.linked_files:
        walk.add_file(link)
    return FolderListing(sorted(walk.videos), sorted(walk.left_out), sorted(walk.linked_folders))


class _Walk:
    """State of a walk through a folder: what was found, and the links that are still to follow."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.visited: set[Path] = set()
        self.links: deque[Path] = deque()
        self.linked_files: list[Path] = []
        self.videos: list[Path] = []
        self.left_out: list[LeftOut] = []
        self.linked_folders: list[Path] = []

    def visit(self, folder: Path) -> None:
        """List a folder and its subfolders, and queue the links in them."""
        resolved = folder.resolve()
        if resolved in self.visited:
            self.leave_out(folder, LeftOutReason.LISTED_ALREADY)
            return
        self.visited.add(resolved)
        try:
            entries = [(path, path.is_symlink()) for path in sorted(folder.iterdir())]
        except PermissionError:
            self.leave_out(folder, LeftOutReason.UNREADABLE)
            return
        for path, is_link in entries:
            if path.name.startswith("."):
                self.leave_out(path, LeftOutReason.HIDDEN)
            elif is_link:
                self.links.append(path)
            elif path.is_dir():
                self.visit(path)
            else:
                self.add_file(path)

    def follow(self, link: Path) -> None:
        """List the folder that a link leads to, or queue the link to a file."""
        try:
            target = link.resolve(strict=True)
        except PermissionError:
            self.leave_out(link, LeftOutReason.UNREADABLE)
        except (OSError, RuntimeError):  # RuntimeError: a link to itself, before Python 3.13
            self.leave_out(link, LeftOutReason.BROKEN_LINK)
        else:
            if not target.is_dir():
                self.linked_files.append(link)
            elif link.parent.resolve().is_relative_to(target):
                self.leave_out(link, LeftOutReason.LINK_LOOP)
            else:
                if target not in self.visited:
                    self.linked_folders.append(link)
                self.visit(link)

    def add_file(self, path: Path) -> None:
        """Add a file to the videos, or to what is left out."""
        resolved = path.resolve()
        if (reason := _reason_against(path, self.root)) is not None:
            self.leave_out(path, reason)
        elif resolved in self.visited:
            self.leave_out(path, LeftOutReason.LISTED_ALREADY)
        else:
            self.visited.add(resolved)
            self.videos.append(path)

    def leave_out(self, path: Path, reason: LeftOutReason) -> None:
        """Record what is not listed."""
        self.left_out.append(LeftOut(path, reason))


def _reason_against(path: Path, root: Path) -> LeftOutReason | None:
    suffix = path.suffix.lower()
    if not path.is_file():
        return LeftOutReason.NOT_A_FILE
    if suffix in OTHER_VIDEO_SUFFIXES:
        return LeftOutReason.UNSUPPORTED_FORMAT
    if suffix not in VIDEO_SUFFIXES:
        return LeftOutReason.NOT_A_VIDEO
    return LeftOutReason.NO_PERSON if path.parent == root else None


def summarize_left_out(left_out: Iterable[LeftOut]) -> str:
    """Describe what is left out, in a line for each reason with its first names; empty if nothing is."""
    by_reason: dict[LeftOutReason, list[Path]] = {reason: [] for reason in _EXPLANATIONS}
    for path, reason in left_out:
        by_reason[reason].append(path)
    return "\n".join(
        f"{len(paths)} {reason} ({_EXPLANATIONS[reason]}): {join_names(paths)}"
        for reason, paths in by_reason.items()
        if paths
    )


def join_names(paths: Sequence[Path]) -> str:
    """Join the first paths, quoted, and count the others."""
    shown = ", ".join(repr(str(path)) for path in paths[:NAMES_SHOWN])
    more = len(paths) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def write_left_out(left_out: Iterable[LeftOut], out: Path) -> None:
    """Write a CSV with the path of each file that is left out, the reason, and what it means."""
    # A name may be invalid Unicode.
    with (
        atomic_path(out) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LEFT_OUT_COLUMNS)
        writer.writerows((path.as_posix(), reason, _EXPLANATIONS[reason]) for path, reason in left_out)
