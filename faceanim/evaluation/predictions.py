"""Predictions of another method: a video, or a folder of frames, for each item of the test set.

All of them are decoded and checked before any is scored, since scoring takes minutes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from faceanim.errors import FaceanimError
from faceanim.evaluation.test_set import TestItem
from faceanim.media.frames import Frame
from faceanim.media.images import read_image
from faceanim.media.video import MediaError
from faceanim.media.video import read_frames as read_video
from faceanim.progress import ProgressCallback

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
"""Suffixes of the frames in a folder, lower case; other files in it are ignored."""


@dataclass(frozen=True)
class Prediction:
    """A prediction that was checked.

    Attributes:
        path: video, or folder of frames.
        skipped: number of frames before the first driving frame: 1 if it begins with the source, else 0.
    """

    path: Path
    skipped: int

    def read(self) -> Iterator[Frame]:
        """Read the frames that belong to the driving frames, (S, S, 3)."""
        for number, frame in enumerate(read_prediction(self.path)):
            if number >= self.skipped:
                yield frame


Predictions = dict[str, Prediction]
"""Predictions by `item_id`."""


def list_predictions(folder: Path) -> dict[str, list[Path]]:
    """List the files and folders of a folder by the item that their name stands for; hidden ones are ignored.

    Raises:
        FaceanimError: there is no such folder.
    """
    if not folder.is_dir():
        raise FaceanimError(f"cannot read {folder}: there is no such folder")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if not path.name.startswith("."):
            found.setdefault(path.name if path.is_dir() else path.stem, []).append(path)
    return found


def check_predictions(folder: Path, items: Sequence[TestItem], on_progress: ProgressCallback) -> Predictions:
    """Check that a folder has one usable prediction of each item.

    Args:
        folder: folder of the predictions.
        items: items to be scored.
        on_progress: called with the number of items done and the total.

    Raises:
        FaceanimError: predictions are missing, ambiguous, unreadable, not square, or have a wrong number of
            frames; the message lists all of these.
    """
    found = list_predictions(folder)
    predictions: Predictions = {}
    faults: list[str] = []
    if missing := [item.item_id for item in items if item.item_id not in found]:
        faults.append(f"there is none of {', '.join(missing)}")
    for done, item in enumerate(items):
        on_progress(done, len(items), "checking the predictions")
        paths = found.get(item.item_id, [])
        if len(paths) > 1:
            faults.append(f"{' and '.join(path.name for path in paths)} are of the same item")
        elif paths:
            try:
                predictions[item.item_id] = check_prediction(paths[0], item.frames)
            except FaceanimError as error:
                faults.append(str(error))
    if faults:
        raise FaceanimError(f"cannot score {folder}: {'; '.join(faults)}")
    return predictions


def check_prediction(path: Path, count: int) -> Prediction:
    """Decode a prediction of `count` driving frames once.

    Raises:
        FaceanimError: it cannot be read, or its frames are not square, of one size, and `count` or one more.
    """
    sizes = [frame.shape[1::-1] for frame in read_prediction(path)]
    shown = " and ".join(f"{width}x{height}" for width, height in sorted(set(sizes)))
    if len(sizes) - count not in (0, 1) or len(set(sizes)) != 1 or sizes[0][0] != sizes[0][1]:
        raise FaceanimError(
            f"{path.name} has {len(sizes)} frames of {shown or 'no'} pixels; "
            f"{count} square frames are needed, or {count + 1} with the source"
        )
    return Prediction(path, len(sizes) - count)


def read_prediction(path: Path) -> Iterator[Frame]:
    """Read all frames of a video, or of a folder in the order of the numbers in their names.

    Raises:
        FaceanimError: a file cannot be read.
    """
    if path.is_dir():
        images = (image for image in path.iterdir() if image.suffix.lower() in IMAGE_SUFFIXES)
        yield from map(read_image, sorted(images, key=_natural_order))
        return
    try:
        yield from read_video(path, "pyav")
    except MediaError as error:
        raise FaceanimError(str(error)) from None


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts `2.png` before `10.png`, and names of equal width as they are."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.stem)]
