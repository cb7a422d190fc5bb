"""VoxCeleb's own lists: a tree of text files, `txt/<person>/<video>/<utterance>.txt`."""

from math import isfinite
from pathlib import Path

from faceanim.data.voxceleb import Clip
from faceanim.errors import FaceanimError

FPS = 25
LINES = 360
"""Height of the frames that VoxCeleb1's boxes are pixels of; their width is not told."""
TEST_PEOPLE = frozenset(f"id{number}" for number in range(10270, 10310))
"""VoxCeleb1's official test people."""

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1."""


def read_tree(root: Path) -> tuple[list[Clip], dict[str, int]]:
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
        frames, boxes = _read_track(path)
        if len(frames) < 2:
            counts["files_without_clip"] += 1
            continue
        counts["files_with_gaps"] += max(frames) - min(frames) >= len(frames)
        *above, person, video, _ = path.relative_to(root).parts
        is_test = person in TEST_PEOPLE or "test" in above
        try:
            clips.append(_clip(person, video, frames, boxes, "test" if is_test else "train"))
        except ValueError as error:
            raise FaceanimError(f"{path}: {error}") from None
    return clips, counts


def _clip(person: str, video: str, frames: set[int], boxes: list[Box], split: str) -> Clip:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    # VoxCeleb2's boxes are shares of the frame: no face is two frames wide, nor narrower than two pixels.
    is_share = max(right - left for left, _, right, _ in boxes) < 2
    return Clip(
        person=person,
        video=video,
        start=min(frames),
        end=max(frames),
        fps=FPS,
        box=(min(lefts), min(tops), max(rights), max(bottoms)),
        width=1 if is_share else None,
        height=1 if is_share else LINES,
        split=split,
    )


def _read_track(path: Path) -> tuple[set[int], list[Box]]:
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
    boxes: dict[str, Box] = {}  # a box stands in ten lines on average: reading each once halves the time
    for number, line in lines:
        if not line.strip():
            continue
        try:
            frame, box = line.split(maxsplit=1)
            frames.add(int(frame))
            if box not in boxes:
                boxes[box] = _box(box)
        except ValueError:
            raise FaceanimError(f"{path}, line {number}: {line[:60]!r} is not FRAME X Y W H") from None
    return frames, list(boxes.values())


def _box(text: str) -> Box:
    x, y, width, height = map(float, text.split())
    if not isfinite(x + y + width + height):
        raise ValueError("not finite")
    return x, y, x + width, y + height
