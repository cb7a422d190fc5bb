"""Stage 1: the list of clips to fetch, and the split by person, decided here and nowhere else."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from faceanim.config import IndexConfig
from faceanim.data import voxceleb
from faceanim.data.ids import join_ids, safe_id
from faceanim.errors import FaceanimError
from faceanim.schemas import INDEX
from faceanim.tables import Row, write_table

EXTENSIONS = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m4v"})


def build_index(config: IndexConfig, out: Path) -> dict[str, Any]:
    """Write index.parquet and return its counts.

    Raises:
        FaceanimError: the source is missing, empty or malformed, or a person to hold out is not in it.
    """
    source = Path(config.path)
    if config.source == "folder":
        rows, counts = _folder_rows(source)
        held_out = choose_test_people((row["person_id"] for row in rows), config)
        for row in rows:
            row["split"] = "test" if row["person_id"] in held_out else "train"
    else:
        rows, counts = voxceleb.read_metadata(source)
        if config.test_people:
            held_out = choose_test_people((row["person_id"] for row in rows), config)
            for row in rows:
                row["split"] = "test" if row["person_id"] in held_out else "train"
        counts["moved_to_test"] = voxceleb.close_split(rows)
    check_split(rows)
    rows.sort(key=lambda row: str(row["clip_id"]))
    write_table(rows, INDEX, out)
    return counts | summary(rows)


def _folder_rows(folder: Path) -> tuple[list[Row], dict[str, Any]]:
    """A row for each `<person>/<name>.<ext>`; the split is still open."""
    if not folder.is_dir():
        raise FaceanimError(f"index.path: there is no folder {folder}")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    videos = [path for path in files if path.parent.parent == folder and _is_video(path)]
    if not videos:
        raise FaceanimError(f"{folder} holds no videos; put them there as <person>/<name>.mp4")
    seen: dict[str, Path] = {}
    rows = []
    for path in videos:
        person = safe_id(path.parent.name)
        video_id = join_ids(person, safe_id(path.stem))
        if video_id in seen:
            raise FaceanimError(f"{seen[video_id]} and {path} have the same name; rename one")
        seen[video_id] = path
        rows.append(_whole_video(video_id, person, path))
    return rows, {"ignored_files": len(files) - len(videos)}


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def _whole_video(video_id: str, person_id: str, path: Path) -> Row:
    nothing = {"end_s": None, "box": None, "box_width": None, "box_height": None}
    return {
        "clip_id": video_id,
        "person_id": person_id,
        "video_id": video_id,
        "url": path.as_posix(),
        "start_s": 0.0,
        **nothing,
    }


def choose_test_people(people: Iterable[str], config: IndexConfig) -> set[str]:
    """The ids of the people held out: those named, else those whose hash falls under `test_fraction`.

    Whom a hash picks does not depend on the others, so a new person moves nobody. Only where it would leave a
    side empty the person nearest to the border changes sides.
    """
    everyone = set(people)
    named = {safe_id(name): name for name in config.test_people}
    if unknown := sorted(set(named) - everyone):
        raise FaceanimError(f"index.test_people: {named[unknown[0]]!r} has no videos in {config.path}")
    if named:
        return set(named)
    ranked = sorted(everyone, key=_share)
    under = sum(_share(person) < config.test_fraction for person in ranked)
    return set(ranked[: max(1, min(under, len(ranked) - 1))])


def _share(person: str) -> float:
    """The person's hash as a number in [0, 1)."""
    return int(hashlib.sha256(person.encode()).hexdigest(), 16) / 2**256


def check_split(rows: Sequence[Row]) -> None:
    """Prove that no clip stands twice and no person or video is on both sides of the split.

    No time range can be on both sides either, since ranges of different videos do not overlap.

    Raises:
        FaceanimError: what was found twice.
    """
    repeated = [clip for clip, count in Counter(row["clip_id"] for row in rows).items() if count > 1]
    if repeated:
        raise FaceanimError(f"index: clip {repeated[0]} stands in the list more than once")
    for column in ("person_id", "video_id", "url"):
        sides: dict[str, set[str]] = {"train": set(), "test": set()}
        for row in rows:
            sides[row["split"]].add(row[column])
        if both := sorted(sides["train"] & sides["test"]):
            raise FaceanimError(f"index: {column} {both[0]} is in both train and test")


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Clips, videos and people, in all and on each side."""

    def count(chosen: Sequence[Row]) -> dict[str, Any]:
        people, videos = ({row[name] for row in chosen} for name in ("person_id", "video_id"))
        return {"clips": len(chosen), "videos": len(videos), "people": len(people)}

    sides = {side: count([row for row in rows if row["split"] == side]) for side in ("train", "test")}
    return count(rows) | sides
