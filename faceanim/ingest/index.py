"""Stage 1: list the clips to fetch and split them by person; no other stage decides the split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faceanim.config import IndexConfig
from faceanim.errors import FaceanimError
from faceanim.ingest.fetch import VIDEO_SUFFIXES
from faceanim.ingest.split import (
    assign_split,
    check_split,
    close_split,
    find_overlaps,
    join_ids,
    make_safe_id,
)
from faceanim.ingest.voxceleb import build_index_rows, read_annotation_tree, read_clips_csv
from faceanim.schemas import INDEX
from faceanim.tables import Row, write_table


def build_index(config: IndexConfig, out: Path) -> dict[str, Any]:
    """Write index.parquet and return its counts.

    Returns:
        The counts of the source's reader (`build_index_rows`, `read_annotation_tree`); `moved_to_test`, clips
        moved because their person or video has a test clip; `overlapping_pairs`, pairs of clips that overlap
        in time and are both kept; and `clips`, `videos` and `people`, in total and for each of `train` and
        `test`.

    Raises:
        FaceanimError: the source is missing, empty or malformed, a person to hold out is not in it, or a
            VoxCeleb list leaves one side of the split empty.
    """
    source = Path(config.path)
    if config.source == "folder":
        rows, counts = _read_folder(source)
        assign_split(rows, config)
    else:
        rows, counts = _read_voxceleb(source, config)
    check_split(rows)
    rows.sort(key=lambda row: str(row["clip_id"]))
    write_table(rows, INDEX, out)
    return counts | {"overlapping_pairs": sum(1 for _ in find_overlaps(rows))} | count_by_split(rows)


def _read_voxceleb(source: Path, config: IndexConfig) -> tuple[list[Row], dict[str, Any]]:
    """Read the rows of an annotation tree or a CSV, with the list's own split unless people are named."""
    clips, files = read_annotation_tree(source) if source.is_dir() else (read_clips_csv(source), {})
    rows, counts = build_index_rows(clips)
    if config.test_people:
        assign_split(rows, config)
    moved = close_split(rows)
    for side in ("train", "test"):
        if all(row["split"] != side for row in rows):
            raise FaceanimError(f"{source} has no people in {side}; choose people in index.test_people")
    return rows, files | counts | {"moved_to_test": moved}


def _read_folder(folder: Path) -> tuple[list[Row], dict[str, Any]]:
    """Make a row of each `<person>/<name>.<ext>`, without a split."""
    if not folder.is_dir():
        raise FaceanimError(f"index.path: folder {folder} does not exist")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    videos = [path for path in files if path.parent.parent == folder and _is_video(path)]
    if not videos:
        raise FaceanimError(f"{folder} contains no videos; add them as <person>/<name>.mp4")
    seen: dict[str, Path] = {}
    rows = []
    for path in videos:
        person = make_safe_id(path.parent.name)
        video_id = join_ids(person, make_safe_id(path.stem))
        if video_id in seen:
            raise FaceanimError(f"{seen[video_id]} and {path} have the same name; rename one")
        seen[video_id] = path
        if not _is_unicode(path):
            raise FaceanimError(f"the name of {path} is not Unicode; rename it")
        rows.append(_make_row(video_id, person, path))
    return rows, {"ignored_files": len(files) - len(videos)}


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")


def _is_unicode(path: Path) -> bool:
    return str(path).encode("utf-8", "replace").decode() == str(path)


def _make_row(video_id: str, person_id: str, path: Path) -> Row:
    no_values = {"end_s": None, "box": None, "box_width": None, "box_height": None}
    return {
        "clip_id": video_id,
        "person_id": person_id,
        "video_id": video_id,
        "url": path.as_posix(),
        "start_s": 0.0,
        **no_values,
    }


def count_by_split(rows: Sequence[Row]) -> dict[str, Any]:
    """Count clips, videos and people, in total and on each side of the split."""

    def count(chosen: Sequence[Row]) -> dict[str, Any]:
        people, videos = ({row[name] for row in chosen} for name in ("person_id", "video_id"))
        return {"clips": len(chosen), "videos": len(videos), "people": len(people)}

    sides = {side: count([row for row in rows if row["split"] == side]) for side in ("train", "test")}
    return count(rows) | sides
