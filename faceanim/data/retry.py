"""What downloads failed, and how to have them tried again: a failure that is forgotten is fetched anew."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from faceanim.data.items import NOT_KEPT, read_metadata
from faceanim.data.obtain import FRAGMENT
from faceanim.errors import FaceanimError
from faceanim.schemas import Reason, Status
from faceanim.tables import read_rows


class Failures(NamedTuple):
    """The fragments of videos that failed for one reason, and whether the next run tries them by itself."""

    reason: str
    passes: bool
    fragments: list[Path]


def failures(videos: Path) -> list[Failures]:
    """The videos in a folder that could not be had, by reason.

    Raises:
        FaceanimError: there is no such folder, or its fragments are of another version.
    """
    if not videos.is_dir():
        raise FaceanimError(f"there is no folder {videos}; `dvc repro download` makes it")
    found: dict[tuple[str, bool], list[Path]] = defaultdict(list)
    for fragment in sorted(videos.glob("*.parquet")):
        (row,) = read_rows(fragment, FRAGMENT)
        if row["status"] == Status.FAILED:
            passes = read_metadata(fragment).get("key") == NOT_KEPT
            found[row["reason"], passes].append(fragment)
    return [Failures(reason, passes, fragments) for (reason, passes), fragments in sorted(found.items())]


def forget(videos: Path, reasons: Iterable[str]) -> int:
    """Forget the failures for these reasons, and say how many there were.

    Raises:
        FaceanimError: a reason that there is not, or what `failures` raises.
    """
    chosen = set(reasons)
    if unknown := sorted(chosen - {str(reason) for reason in Reason}):
        raise FaceanimError(f"no reason is called {unknown[0]!r}; `faceanim retry` lists those there are")
    gone = [path for found in failures(videos) if found.reason in chosen for path in found.fragments]
    for fragment in gone:
        fragment.unlink()
    return len(gone)
