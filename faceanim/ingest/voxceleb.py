"""VoxCeleb's lists as index rows, and the CSV that first-order-motion papers train on."""

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


MAX_FRAME_NUMBER = 10_000_000
"""More frames than any video has (110 hours at 25 fps): what exceeds it is no frame number."""


@dataclass(frozen=True, slots=True)
class VoxCelebClip:
    """A face in a stretch of a video, as a list of VoxCeleb's gives it.

    Raises:
        ValueError: the stretch or the box is empty or absurd.
    """

    person: str
    video: str
    """The video's id on YouTube."""
    start: int
    """Frame number in the whole video, at `fps`."""
    end: int
    """The same, exclusive."""
    fps: float
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in a frame of `width` x `height`; it may run past that frame."""
    width: int | None
    """None where the list does not tell."""
    height: int
    split: str

    def __post_init__(self) -> None:
        if not (0 <= self.start < self.end <= MAX_FRAME_NUMBER and 0 < self.fps < inf):
            raise ValueError(f"an empty or absurd time range: {self.start} to {self.end} at {self.fps} fps")
        left, top, right, bottom = self.box_in_frame()
        if not (left < right < inf and top < bottom):
            raise ValueError(f"an empty box: {self.box} in a frame of {self.width} x {self.height}")
        if self.split not in ("train", "test"):
            raise ValueError(f"partition {self.split!r} is neither train nor test")

    def box_in_frame(self) -> list[float]:
        """The part of the box that lies in the frame, x0, y0, x1, y1."""
        left, top, right, bottom = map(float, self.box)
        width = inf if self.width is None else self.width
        return [max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, self.height)]


def build_index_rows(clips: Iterable[VoxCelebClip]) -> tuple[list[Row], dict[str, Any]]:
    """An index row for each distinct clip: one person in one stretch of one video.

    The first of several equal ones is kept. A clip that stands in both partitions is a test clip.
    Boxes are cut off at the frame's edges.

    Returns:
        the rows, and what was done: `clips_read`; of these `duplicates` within a partition, `boxes_clipped`
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
        kept = rows.setdefault(row["clip_id"], row)
        if clip.split == "test":
            kept["split"] = "test"
        if kept is row:
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


def _make_row(clip: VoxCelebClip) -> Row:
    video, person = make_safe_id(clip.video), make_safe_id(clip.person)
    # A folder's name may be no Unicode; the address is to be one whatever it is.
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


def read_clips_csv(path: Path) -> list[VoxCelebClip]:
    """Read the CSV, whose `end` is exclusive and whose `bbox` is `left-top-right-bottom` in pixels.

    Raises:
        FaceanimError: the file is missing, empty or no CSV, lacks a column, or has a row that makes no sense.
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


def _read_csv_lines(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The CSV's rows, each with the number of its line."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, restval="")
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise FaceanimError(f"{path} has no column {missing[0]!r}; it wants {','.join(COLUMNS)}")
            return [(reader.line_num, line) for line in reader]
    except FileNotFoundError:
        raise FaceanimError(f"index.path: there is no file or folder {path}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise FaceanimError(f"{path} is not a CSV in UTF-8: {error}") from None


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


FPS = 25


FRAME_HEIGHT = 360
"""Height of the frames that VoxCeleb1's boxes are pixels of; their width is not told."""


TEST_PEOPLE = frozenset(f"id{number}" for number in range(10270, 10310))
"""VoxCeleb1's official test people."""


Corners = tuple[float, float, float, float]
"""x0, y0, x1, y1."""


def read_annotation_tree(root: Path) -> tuple[list[VoxCelebClip], dict[str, int]]:
    """Read every folder `txt` below `root`; where there is none, the people's folders lie in `root` itself.

    A file is one clip from its first frame to its last, with the smallest box that holds all of its boxes.
    The last frame itself is left out, as in the CSV: where both list an utterance, the CSV's exclusive `end`
    is the number of the file's last frame. So the stretch also fits should the numbers begin at 1. VoxCeleb's
    files have no gaps; one that has stays one clip, since whoever crops it looks for the face in each frame.

    Held out are VoxCeleb1's official test people, and whoever lies below a folder named `test` in `root`.

    Returns:
        the clips in the order of their paths; and the number of `files`, of `files_without_clip` (fewer than
        two frames) and of `files_with_gaps`.

    Raises:
        FaceanimError: there are no such files, or one is malformed.
    """
    found = sorted(root.glob("**/txt/*/*/*.txt")) or sorted(root.glob("*/*/*.txt"))
    files = [path for path in found if not path.name.startswith(".")]
    if not files:
        raise FaceanimError(f"{root} holds no annotations; put them there as txt/<person>/<video>/<name>.txt")
    counts = {"files": len(files), "files_without_clip": 0, "files_with_gaps": 0}
    clips = []
    for path in files:
        frames, boxes = _read_annotation(path)
        if len(frames) < 2:
            counts["files_without_clip"] += 1
            continue
        counts["files_with_gaps"] += max(frames) - min(frames) >= len(frames)
        *above, person, video, _ = path.relative_to(root).parts
        is_test = person in TEST_PEOPLE or "test" in above
        try:
            clips.append(_make_clip(person, video, frames, boxes, "test" if is_test else "train"))
        except ValueError as error:
            raise FaceanimError(f"{path}: {error}") from None
    return clips, counts


def _make_clip(person: str, video: str, frames: set[int], boxes: list[Corners], split: str) -> VoxCelebClip:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    # VoxCeleb2's boxes are shares of the frame: no face is two frames wide, nor narrower than two pixels.
    is_share = max(right - left for left, _, right, _ in boxes) < 2
    return VoxCelebClip(
        person=person,
        video=video,
        start=min(frames),
        end=max(frames),
        fps=FPS,
        box=(min(lefts), min(tops), max(rights), max(bottoms)),
        width=1 if is_share else None,
        height=1 if is_share else FRAME_HEIGHT,
        split=split,
    )


def _read_annotation(path: Path) -> tuple[set[int], list[Corners]]:
    """The frames and the distinct boxes below the line `FRAME X Y W H`; an empty file has none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FaceanimError(f"{path} cannot be read: {error}") from None
    lines = enumerate(text.splitlines(), start=1)
    has_head = any(line.startswith("FRAME") for _, line in lines)  # takes the lines down to it
    if text.strip() and not has_head:
        raise FaceanimError(f"{path} is no annotation file: none of its lines begins with FRAME")
    frames: set[int] = set()
    boxes: dict[str, Corners] = {}  # a box stands in ten lines on average: reading each once halves the time
    for number, line in lines:
        if not line.strip():
            continue
        try:
            frame, box = line.split(maxsplit=1)
            frames.add(int(frame))
            if box not in boxes:
                boxes[box] = _parse_box(box)
        except ValueError:
            raise FaceanimError(f"{path}, line {number}: {line[:60]!r} is not FRAME X Y W H") from None
    return frames, list(boxes.values())


def _parse_box(text: str) -> Corners:
    x, y, width, height = map(float, text.split())
    if not isfinite(x + y + width + height):
        raise ValueError("not finite")
    return x, y, x + width, y + height
