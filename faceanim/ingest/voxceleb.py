"""Readers of VoxCeleb's lists that turn them into index rows.

Supported are VoxCeleb's own tree of text files, `txt/<person>/<video>/<utterance>.txt`, and the CSV that
first-order-motion papers train on.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

from faceanim.errors import FaceanimError
from faceanim.ingest.lists import (
    ListRow,
    parse_coordinate,
    parse_number,
    parse_text,
    parse_whole,
    raise_problems,
    read_list,
    read_text,
)
from faceanim.ingest.split import join_ids, make_safe_id
from faceanim.ingest.youtube_ids import parse_video_id
from faceanim.tables import Row

COLUMNS = ("video_id", "start", "end", "bbox", "fps", "width", "height", "partition", "person_id")
"""Required columns of the CSV."""
FPS = 25
"""Frame rate of the frame numbers in the annotation tree."""
FRAME_HEIGHT = 360
"""Height in pixels of the frames that VoxCeleb1's boxes refer to; their width is not stated."""
TEST_PEOPLE = frozenset(f"id{number}" for number in range(10270, 10310))
"""Official test people of VoxCeleb1."""
MAX_FRAME_NUMBER = 10_000_000
"""Largest valid frame number, more than the frames of any video (110 hours at 25 fps)."""

MAX_SIDE = 65_536
"""Largest valid width or height of a frame, in pixels."""

Corners = tuple[float, float, float, float]
"""Corners of a box: x0, y0, x1, y1."""
_BBOX = re.compile("-".join([r"(-?[^-\s]+)"] * 4))


@dataclass(frozen=True, slots=True)
class VoxCelebClip:
    """Face in a time range of a video, as listed by VoxCeleb.

    Raises:
        ValueError: the time range, the frame size, the box or the split is invalid.
    """

    person: str
    video: str
    """Id of the video on YouTube."""
    start: int
    """First frame, counted in the whole video at `fps`."""
    end: int
    """End frame, exclusive."""
    fps: float
    box: tuple[float, float, float, float]
    """Box x0, y0, x1, y1 in a frame of `width` x `height`; it may extend beyond the frame."""
    width: int | None
    """Width of the frame; None if the list does not state it."""
    height: int
    """Height of the frame; 1, like the width, if the box is in fractions of the frame."""
    split: str
    """`train` or `test`."""

    def __post_init__(self) -> None:
        if not (0 <= self.start < self.end <= MAX_FRAME_NUMBER and 0 < self.fps < inf):
            raise ValueError(f"invalid time range: start {self.start}, end {self.end}, fps {self.fps:g}")
        if max(self.width or 1, self.height) > MAX_SIDE:
            raise ValueError(f"invalid frame size: width {self.width}, height {self.height}")
        left, top, right, bottom = self.box_in_frame()
        if not (left < right < inf and top < bottom):
            box = "-".join(f"{edge:g}" for edge in self.box)
            raise ValueError(f"empty box: bbox {box} in a frame of width {self.width}, height {self.height}")
        if self.split not in ("train", "test"):
            raise ValueError(f"partition {self.split!r} is neither train nor test")

    def box_in_frame(self) -> list[float]:
        """Clip the box to the frame and return it as x0, y0, x1, y1."""
        left, top, right, bottom = map(float, self.box)
        width = inf if self.width is None else self.width
        return [max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, self.height)]


def read_clips_csv(path: Path) -> list[VoxCelebClip]:
    """Read the CSV, whose `end` is exclusive and whose `bbox` is `left-top-right-bottom` in pixels.

    In the place of an id, the address of a video on YouTube is read as well.

    Raises:
        FaceanimError: the file is missing, empty or not a CSV, lacks a column, or has invalid rows; the
            message names the first ten of those by line and column.
    """
    problems: list[str] = []
    parsed = [_parse_csv_clip(row, problems) for row in read_list(path, COLUMNS)]
    raise_problems(f"{path}, ", problems)
    if not parsed:
        raise FaceanimError(f"{path} lists no clips")
    return [clip for clip in parsed if clip is not None]


def read_annotation_tree(root: Path) -> tuple[list[VoxCelebClip], dict[str, int]]:
    """Read the annotation files of every folder `txt` below `root`.

    Without a folder `txt`, the folders of the people are expected in `root` itself.

    A file is one clip from its first frame to its last, with the smallest box that contains all of its boxes.
    The last frame itself is left out, as in the CSV: where both list an utterance, the CSV's exclusive `end`
    is the number of the file's last frame. The time range thus also fits if the numbers start at 1.
    VoxCeleb's files have no gaps. A file with gaps remains one clip, since the crop stage searches each frame
    for the face.

    VoxCeleb1's official test people and all people below a folder named `test` in `root` are held out.

    Returns:
        The clips in the order of their paths, and the numbers of `files`, of `files_without_clip` (fewer than
        two frames) and of `files_with_gaps`.

    Raises:
        FaceanimError: `root` contains no annotation files, or some are malformed or below a folder that is
            not named after a video; the message names the first ten.
    """
    paths = sorted(root.glob("**/txt/*/*/*.txt")) or sorted(root.glob("*/*/*.txt"))
    files = [path for path in paths if not path.name.startswith(".")]
    if not files:
        raise FaceanimError(f"{root} contains no annotations; add them as txt/<person>/<video>/<name>.txt")
    counts = {"files": len(files), "files_without_clip": 0, "files_with_gaps": 0}
    clips: list[VoxCelebClip] = []
    problems: list[str] = []
    for path in files:
        try:
            frames, boxes = _read_annotation(path)
            if len(frames) < 2:
                counts["files_without_clip"] += 1
                continue
            counts["files_with_gaps"] += max(frames) - min(frames) >= len(frames)
            clips.append(_make_clip(path.relative_to(root), frames, boxes))
        except FaceanimError as error:
            problems.append(str(error))
        except ValueError as error:
            problems.append(f"{path}: {error}")
    raise_problems("", problems)
    return clips, counts


def build_index_rows(clips: Iterable[VoxCelebClip]) -> tuple[list[Row], dict[str, Any]]:
    """Build an index row for each distinct clip: one person in one time range of one video.

    Of several equal clips, the first is kept. A clip listed in both partitions is a test clip. Boxes are
    clipped to the frame.

    Returns:
        The rows, and counts: `clips_read`; of these, `duplicates` within a partition and `boxes_clipped`
        (duplicates included); the clips `in_both_partitions`; `frames` and `hours` of the rows.
    """
    rows: dict[str, Row] = {}
    listed: set[tuple[str, str]] = set()
    read = clipped = frames = 0
    seconds = 0.0
    for clip in clips:
        row = _make_row(clip)
        read += 1
        clipped += row["box"] != list(clip.box)
        listed.add((row["clip_id"], clip.split))
        first = rows.setdefault(row["clip_id"], row)
        if clip.split == "test":
            first["split"] = "test"
        if first is row:
            frames += clip.end - clip.start
            seconds += row["end_s"] - row["start_s"]
    return list(rows.values()), {
        "clips_read": read,
        "duplicates": read - len(listed),
        "in_both_partitions": len(listed) - len(rows),
        "boxes_clipped": clipped,
        "frames": frames,
        "hours": round(seconds / 3600, 2),
    }


def _parse_csv_clip(row: ListRow, problems: list[str]) -> VoxCelebClip | None:
    """Parse a row; None if it is invalid, which adds a problem for each invalid cell or for all of it."""
    whole = partial(parse_whole, separator=row.separator)
    parsers: dict[str, Callable[[str], Any]] = {
        "video_id": parse_video_id,
        "start": whole,
        "end": whole,
        "bbox": partial(_parse_bbox, separator=row.separator),
        "fps": parse_number,
        "width": whole,
        "height": whole,
        "partition": str.lower,
        "person_id": parse_text,
    }
    values: dict[str, Any] = {}
    for column, parse in parsers.items():
        try:
            values[column] = parse(row.cells[column])
        except ValueError as error:
            problems.append(f"line {row.line}, column {column}: {error}")
    if len(values) < len(parsers):
        return None
    try:
        return VoxCelebClip(
            person=values["person_id"],
            video=values["video_id"],
            start=values["start"],
            end=values["end"],
            fps=values["fps"],
            box=values["bbox"],
            width=values["width"],
            height=values["height"],
            split=values["partition"],
        )
    except ValueError as error:
        problems.append(f"line {row.line}: {error}")
        return None


def _parse_bbox(text: str, separator: str) -> Corners:
    """Parse `left-top-right-bottom`, or four numbers between blanks, commas, semicolons or underscores."""
    plain = text.strip("()[]{} ").replace("\u2013", "-").replace("\u2212", "-")
    joined = _BBOX.fullmatch(plain)
    parts = joined.groups() if joined else re.split(r"[\s,;_]+", plain)
    if len(parts) != 4:
        raise ValueError(f"{parse_text(text)!r} is not left-top-right-bottom")
    left, top, right, bottom = (parse_coordinate(part, separator) for part in parts)
    return left, top, right, bottom


def _read_annotation(path: Path) -> tuple[set[int], list[Corners]]:
    """Read the frames and the distinct boxes below the line `FRAME X Y W H`; an empty file has none.

    Raises:
        FaceanimError: the file is in an unknown encoding, has no such line, or has invalid lines.
    """
    text = read_text(path, "text")
    lines = enumerate(text.splitlines(), start=1)
    header = next((line for _, line in lines if line.startswith("FRAME")), None)
    if header is None and text.strip():
        raise FaceanimError(f"{path} is not an annotation file: no line starts with FRAME")
    separator = next((mark for mark in ";," if header is not None and mark in header), None)
    frames: set[int] = set()
    boxes: dict[str, Corners] = {}  # ten lines share a box on average: parsing it once halves the time
    problems: list[str] = []
    for number, line in lines:
        parts = (line.replace(separator, " ") if separator else line).split(maxsplit=1)
        if not parts:
            continue
        try:
            frame, box = parts
            frames.add(parse_whole(frame, ","))
            if box not in boxes:
                boxes[box] = _parse_box(box)
        except ValueError:
            problems.append(f"line {number}: expected FRAME X Y W H as numbers, got {line[:60]!r}")
    raise_problems(f"{path}, ", problems)
    return frames, list(boxes.values())


def _parse_box(text: str) -> Corners:
    x, y, width, height = map(parse_number, text.split())
    return x, y, x + width, y + height


def _make_clip(path: Path, frames: set[int], boxes: list[Corners]) -> VoxCelebClip:
    """Make the clip of an annotation file, whose path below the root names person and video.

    Raises:
        ValueError: the folder is not named after a video, or the clip is invalid.
    """
    *parents, person, video, _ = path.parts
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    # VoxCeleb2's boxes are fractions of the frame: no face is two frames wide, or narrower than two pixels.
    is_fraction = max(right - left for left, _, right, _ in boxes) < 2
    return VoxCelebClip(
        person=person,
        video=parse_video_id(video),
        start=min(frames),
        end=max(frames),
        fps=FPS,
        box=(min(lefts), min(tops), max(rights), max(bottoms)),
        width=1 if is_fraction else None,
        height=1 if is_fraction else FRAME_HEIGHT,
        split="test" if person in TEST_PEOPLE or "test" in parents else "train",
    )


def _make_row(clip: VoxCelebClip) -> Row:
    video, person = make_safe_id(clip.video), make_safe_id(clip.person)
    return {
        "clip_id": join_ids(video, person, f"{clip.start:06d}", f"{clip.end:06d}"),
        "person_id": person,
        "video_id": video,
        "url": f"https://www.youtube.com/watch?v={clip.video}",
        "start_s": clip.start / clip.fps,
        "end_s": clip.end / clip.fps,
        "box": clip.box_in_frame(),
        "box_width": clip.width,
        "box_height": clip.height,
        "split": clip.split,
    }
