"""Readers of VoxCeleb's lists that turn them into index rows.

Supported are VoxCeleb's own tree of text files, `txt/<person>/<video>/<utterance>.txt`, and the CSV that
first-order-motion papers train on.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any
from urllib.parse import quote

from faceanim.errors import FaceanimError
from faceanim.ingest.split import join_ids, make_safe_id
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

Corners = tuple[float, float, float, float]
"""Corners of a box: x0, y0, x1, y1."""


@dataclass(frozen=True, slots=True)
class VoxCelebClip:
    """Face in a time range of a video, as listed by VoxCeleb.

    Raises:
        ValueError: the time range, the box or the split is invalid.
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
            raise ValueError(f"invalid time range: {self.start} to {self.end} at {self.fps} fps")
        left, top, right, bottom = self.box_in_frame()
        if not (left < right < inf and top < bottom):
            raise ValueError(f"empty box: {self.box} in a frame of {self.width} x {self.height}")
        if self.split not in ("train", "test"):
            raise ValueError(f"partition {self.split!r} is neither train nor test")

    def box_in_frame(self) -> list[float]:
        """Clip the box to the frame and return it as x0, y0, x1, y1."""
        left, top, right, bottom = map(float, self.box)
        width = inf if self.width is None else self.width
        return [max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, self.height)]


def read_clips_csv(path: Path) -> list[VoxCelebClip]:
    """Read the CSV, whose `end` is exclusive and whose `bbox` is `left-top-right-bottom` in pixels.

    Raises:
        FaceanimError: the file is missing, empty or not a CSV, lacks a column, or has an invalid row.
    """
    clips = []
    for number, line in _read_csv_lines(path):
        try:
            clips.append(_parse_csv_clip(line))
        except (ValueError, OverflowError) as error:
            raise FaceanimError(f"{path}, line {number}: {error}") from None
    if not clips:
        raise FaceanimError(f"{path} lists no clips")
    return clips


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
        FaceanimError: `root` contains no annotation files, or one is malformed.
    """
    paths = sorted(root.glob("**/txt/*/*/*.txt")) or sorted(root.glob("*/*/*.txt"))
    files = [path for path in paths if not path.name.startswith(".")]
    if not files:
        raise FaceanimError(f"{root} contains no annotations; add them as txt/<person>/<video>/<name>.txt")
    counts = {"files": len(files), "files_without_clip": 0, "files_with_gaps": 0}
    clips = []
    for path in files:
        frames, boxes = _read_annotation(path)
        if len(frames) < 2:
            counts["files_without_clip"] += 1
            continue
        counts["files_with_gaps"] += max(frames) - min(frames) >= len(frames)
        *parents, person, video, _ = path.relative_to(root).parts
        is_test = person in TEST_PEOPLE or "test" in parents
        try:
            clips.append(_make_clip(person, video, frames, boxes, "test" if is_test else "train"))
        except ValueError as error:
            raise FaceanimError(f"{path}: {error}") from None
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


def _read_csv_lines(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Read the rows of the CSV, each with its line number."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, restval="")
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise FaceanimError(f"{path} has no column {missing[0]!r}; required: {','.join(COLUMNS)}")
            return [(reader.line_num, line) for line in reader]
    except FileNotFoundError:
        raise FaceanimError(f"index.path: {path} does not exist") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise FaceanimError(f"cannot read {path} as UTF-8 CSV: {error}") from None


def _parse_csv_clip(line: dict[str, str]) -> VoxCelebClip:
    left, top, right, bottom = (int(part) for part in line["bbox"].split("-"))
    return VoxCelebClip(
        person=line["person_id"],
        video=line["video_id"],
        start=int(line["start"]),
        end=int(line["end"]),
        fps=float(line["fps"]),
        box=(left, top, right, bottom),
        width=int(line["width"]),
        height=int(line["height"]),
        split=line["partition"],
    )


def _read_annotation(path: Path) -> tuple[set[int], list[Corners]]:
    """Read the frames and the distinct boxes below the line `FRAME X Y W H`; an empty file has none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FaceanimError(f"cannot read {path}: {error}") from None
    lines = enumerate(text.splitlines(), start=1)
    has_header = any(line.startswith("FRAME") for _, line in lines)  # consumes the lines up to the header
    if text.strip() and not has_header:
        raise FaceanimError(f"{path} is not an annotation file: no line starts with FRAME")
    frames: set[int] = set()
    boxes: dict[str, Corners] = {}  # ten lines share a box on average: parsing it once halves the time
    for number, line in lines:
        if not line.strip():
            continue
        try:
            frame, box = line.split(maxsplit=1)
            frames.add(int(frame))
            if box not in boxes:
                boxes[box] = _parse_box(box)
        except ValueError:
            raise FaceanimError(f"{path}, line {number}: expected FRAME X Y W H, got {line[:60]!r}") from None
    return frames, list(boxes.values())


def _parse_box(text: str) -> Corners:
    x, y, width, height = map(float, text.split())
    if not isfinite(x + y + width + height):
        raise ValueError("not finite")
    return x, y, x + width, y + height


def _make_clip(person: str, video: str, frames: set[int], boxes: list[Corners], split: str) -> VoxCelebClip:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    # VoxCeleb2's boxes are fractions of the frame: no face is two frames wide, or narrower than two pixels.
    is_fraction = max(right - left for left, _, right, _ in boxes) < 2
    return VoxCelebClip(
        person=person,
        video=video,
        start=min(frames),
        end=max(frames),
        fps=FPS,
        box=(min(lefts), min(tops), max(rights), max(bottoms)),
        width=1 if is_fraction else None,
        height=1 if is_fraction else FRAME_HEIGHT,
        split=split,
    )


def _make_row(clip: VoxCelebClip) -> Row:
    video, person = make_safe_id(clip.video), make_safe_id(clip.person)
    # A folder name can be invalid Unicode; the address must be valid.
    address = quote(clip.video, safe="", errors="surrogateescape")
    return {
        "clip_id": join_ids(video, person, f"{clip.start:06d}", f"{clip.end:06d}"),
        "person_id": person,
        "video_id": video,
        "url": f"https://www.youtube.com/watch?v={address}",
        "start_s": clip.start / clip.fps,
        "end_s": clip.end / clip.fps,
        "box": clip.box_in_frame(),
        "box_width": clip.width,
        "box_height": clip.height,
        "split": clip.split,
    }
