"""Stage 1: list the clips to fetch and split them by person; no other stage decides the split."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from faceanim.config import IndexConfig
from faceanim.errors import FaceanimError
from faceanim.ingest.folders import FolderListing, join_names, list_folder, summarize_left_out, write_left_out
from faceanim.ingest.lists import raise_problems
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

NO_LISTING = FolderListing([], [], [])

log = logging.getLogger(__name__)


def build_index(config: IndexConfig, out: Path, left_out: Path | None = None) -> dict[str, Any]:
    """Write index.parquet and return its counts.

    Args:
        config: source of the videos, and the held-out people.
        out: index.parquet.
        left_out: CSV to write of what has no row: path, reason and explanation. It is also summarized in the
            log, by name.

    Returns:
        The counts of the source's reader (`build_index_rows`, `read_annotation_tree`; `ignored_files` of a
        folder); `moved_to_test`, clips moved because their person or video has a test clip;
        `overlapping_pairs`, pairs of clips that overlap in time and are both kept; and `clips`, `videos` and
        `people`, in total and for each of `train` and `test`.

    Raises:
        FaceanimError: the source is missing, empty or malformed, a person to hold out is not in it, or a
            VoxCeleb list leaves one side of the split empty.
    """
    source, listing = Path(config.path), NO_LISTING
    if config.source == "folder":
        listing = _list_videos(source)
        rows, counts = _make_folder_rows(listing.videos, source), {"ignored_files": len(listing.left_out)}
        assign_split(rows, config)
    else:
        rows, counts = _read_voxceleb(source, config)
    check_split(rows)
    rows.sort(key=lambda row: str(row["clip_id"]))
    write_table(rows, INDEX, out)
    if left_out is not None:
        write_left_out(listing.left_out, left_out)
        _log_listing(listing, left_out)
    return counts | {"overlapping_pairs": sum(1 for _ in find_overlaps(rows))} | count_by_split(rows)


def check_people(config: IndexConfig, counts: Mapping[str, Any]) -> None:
    """Check the counts of an index for people on both sides of the split, without whom no model is evaluated.

    Raises:
        FaceanimError: one side has no people; the message says what to change.
    """
    if counts["train"]["people"] and counts["test"]["people"]:
        return
    if counts["people"] == 1:
        raise FaceanimError(
            f"index: {config.path} shows one person only, but training and evaluation need different people; "
            "add a folder with videos of at least one other person"
        )
    raise FaceanimError(
        f"index: index.test_people names all {counts['people']} people, which leaves none to train on; "
        "name fewer"
    )


def _read_voxceleb(source: Path, config: IndexConfig) -> tuple[list[Row], dict[str, Any]]:
    """Read the rows of an annotation tree or a CSV, with the list's own split unless people are named."""
    clips, files = read_annotation_tree(source) if source.is_dir() else (read_clips_csv(source), {})
    rows, counts = build_index_rows(clips)
    if config.test_people:
        assign_split(rows, config)
    moved = close_split(rows)
    for side in ("train", "test"):
        if all(row["split"] != side for row in rows):
            is_one = len({row["person_id"] for row in rows}) == 1
            until = " once it lists more than one person" if is_one else ""
            raise FaceanimError(
                f"{source} has no people in {side}; choose people in index.test_people{until}"
            )
    return rows, files | counts | {"moved_to_test": moved}


def _list_videos(folder: Path) -> FolderListing:
    """List the videos of a folder, at least one.

    Raises:
        FaceanimError: the folder does not exist, or contains no video in a person's folder.
    """
    if not folder.is_dir():
        raise FaceanimError(f"index.path: folder {folder} does not exist")
    listing = list_folder(folder)
    if not listing.videos:
        found = "".join(f"; {line}" for line in summarize_left_out(listing.left_out).splitlines())
        raise FaceanimError(f"{folder} contains no videos; add them as <person>/<name>.mp4{found}")
    return listing


def _make_folder_rows(videos: Sequence[Path], folder: Path) -> list[Row]:
    """Make a row of each `<person>/<name>.<ext>` or `<person>/<folder>/<name>.<ext>`, without a split.

    Raises:
        FaceanimError: two videos have the same id, or a name is not Unicode.
    """
    by_id: dict[str, list[Path]] = defaultdict(list)
    for path in videos:
        if not _is_unicode(path):
            raise FaceanimError(f"the name of {str(path)!a} is not Unicode; rename it")
        by_id[_make_video_id(path.relative_to(folder))].append(path)
    repeated = [
        f"{' and '.join(map(str, paths))} have the same name apart from the suffix; rename one"
        for paths in by_id.values()
        if len(paths) > 1
    ]
    raise_problems("", repeated)
    return [
        _make_row(video_id, make_safe_id(path.relative_to(folder).parts[0]), path)
        for video_id, (path,) in by_id.items()
    ]


def _make_video_id(path: Path) -> str:
    """Make the id of a video from its path below the folder; the path below the person's becomes one part."""
    person, *_ = path.parts
    return join_ids(make_safe_id(person), make_safe_id(path.with_suffix("").relative_to(person).as_posix()))


def _log_listing(listing: FolderListing, table: Path) -> None:
    """Log what is left out, and the linked folders, whose changes DVC does not see."""
    if summary := summarize_left_out(listing.left_out):
        log.warning("index: %d left out, listed in %s:\n%s", len(listing.left_out), table, summary)
    if listing.linked_folders:
        log.warning(
            "index: DVC does not look into linked folders (%s); after a change in one, run "
            "`dvc repro --force download` first",
            join_names(listing.linked_folders),
        )


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
