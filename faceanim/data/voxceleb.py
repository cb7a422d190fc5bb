"""VoxCeleb's lists: the CSV of cropped sequences that first-order-motion papers train on."""

import csv
from pathlib import Path
from typing import Any
from urllib.parse import quote

from faceanim.data.ids import join_ids, safe_id
from faceanim.errors import FaceanimError
from faceanim.tables import Row

COLUMNS = ("video_id", "start", "end", "bbox", "fps", "width", "height", "partition", "person_id")


def read_metadata(path: Path) -> tuple[list[Row], dict[str, Any]]:
    """Read the CSV: a row for each distinct clip, with the split the list gives it.

    A clip that stands in both partitions is a test clip. Boxes are cut off at the frame's edges.

    Returns:
        the index rows, and counts of what was dropped or mended.

    Raises:
        FaceanimError: the file is missing, lacks a column, or has a row that makes no sense.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise FaceanimError(f"{path} has no column {missing[0]!r}; it wants {','.join(COLUMNS)}")
            lines = list(reader)
    except FileNotFoundError:
        raise FaceanimError(f"index.path: there is no file {path}") from None
    rows: dict[str, Row] = {}
    clipped = 0
    for number, line in enumerate(lines, start=2):
        try:
            row, cut = _row(line)
        except (ValueError, TypeError) as error:
            raise FaceanimError(f"{path}, line {number}: {error}") from None
        same = rows.setdefault(row["clip_id"], row)
        if row["split"] == "test":
            same["split"] = "test"
        clipped += cut and same is row
    if not rows:
        raise FaceanimError(f"{path} lists no clips")
    return list(rows.values()), {"duplicates": len(lines) - len(rows), "boxes_clipped": clipped}


def _row(line: dict[str, str]) -> tuple[Row, bool]:
    """One line as an index row, and whether its box ran past the frame."""
    start, end, width, height = (int(line[name]) for name in ("start", "end", "width", "height"))
    fps = float(line["fps"])
    left, top, right, bottom = (int(part) for part in line["bbox"].split("-"))
    box = [max(left, 0), max(top, 0), min(right, width), min(bottom, height)]
    if not (0 <= start < end and fps > 0 and box[0] < box[2] and box[1] < box[3]):
        raise ValueError("an empty time range or box")
    if line["partition"] not in ("train", "test"):
        raise ValueError(f"partition {line['partition']!r} is neither train nor test")
    video, person = safe_id(line["video_id"]), safe_id(line["person_id"])
    row = {
        "clip_id": join_ids(video, person, f"{start:06d}", f"{end:06d}"),
        "person_id": person,
        "video_id": video,
        "url": f"https://www.youtube.com/watch?v={quote(line['video_id'], safe='')}",
        "start_s": start / fps,
        "end_s": end / fps,
        "box": [float(edge) for edge in box],
        "box_width": width,
        "box_height": height,
        "split": line["partition"],
    }
    return row, box != [left, top, right, bottom]


def close_split(rows: list[Row]) -> int:
    """Move to test, as a whole, each person and video that has a test clip, until no side leaks.

    Returns:
        how many clips were moved.
    """
    moved = 0
    while True:
        test = [row for row in rows if row["split"] == "test"]
        people, videos = ({row[name] for row in test} for name in ("person_id", "video_id"))
        leaks = [
            row
            for row in rows
            if row["split"] == "train" and (row["person_id"] in people or row["video_id"] in videos)
        ]
        if not leaks:
            return moved
        for row in leaks:
            row["split"] = "test"
        moved += len(leaks)
