"""The test set: held-out clips, the items to evaluate, and the pairs of people in the re-enactment."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from faceanim.errors import FaceanimError
from faceanim.evaluation.protocol import Task
from faceanim.faces.landmark_sets import load_landmarks
from faceanim.media.frames import Frames
from faceanim.media.mjpeg import read_frame
from faceanim.schemas import CROPS, Status
from faceanim.tables import Row, read_rows


@dataclass(frozen=True)
class TestItem:
    """An item to evaluate: the first frame of a source clip, animated by the other frames of a driving clip.

    Attributes:
        task: task that the item belongs to.
        item_id: crop_id of the clip, or pair_id.
        source: row of crops.parquet.
        driving: row of crops.parquet, the same as `source` except in a re-enactment.
    """

    __test__ = False  # pytest would otherwise collect the class because of its name

    task: Task
    item_id: str
    source: Row
    driving: Row

    @property
    def frames(self) -> int:
        """Number of driving frames."""
        return count_driving_frames(self.driving)


def load_test_clips(crops: Path) -> list[Row]:
    """Read the accepted clips of the test split that have a driving frame, sorted by crop_id.

    Raises:
        FaceanimError: the table has no such clip, or the file of a clip is missing.
    """
    rows = [
        row
        for row in read_rows(crops, CROPS)
        if row["split"] == "test" and row["status"] == Status.OK and count_driving_frames(row)
    ]
    if not rows:
        raise FaceanimError(
            f"{crops} has no accepted clip in the test split; hold out more people (section index)"
        )
    check_crops(rows)
    return sorted(rows, key=lambda row: str(row["crop_id"]))


def check_crops(rows: Sequence[Row]) -> None:
    """Check that the files of clips are there, which the table alone does not say.

    Raises:
        FaceanimError: a file is missing.
    """
    if missing := [row["path"] for row in rows if not Path(row["path"]).is_file()]:
        raise FaceanimError(
            f"{len(missing)} of {len(rows)} test clips are missing, such as {missing[0]}; "
            "run `dvc repro crop`, or `dvc pull` where another machine has run it, in the project's folder"
        )


def check_landmarks(items: Sequence[TestItem], folder: Path) -> None:
    """Check that the landmarks of all items that need any are there.

    Raises:
        FaceanimError: a clip has no landmarks.
    """
    rows = [
        row for item in items if item.task != Task.SUPER_RESOLUTION for row in (item.source, item.driving)
    ]
    for row in {row["crop_id"]: row for row in rows}.values():
        read_clip_points(folder, row)


def build_items(rows: Sequence[Row], pairs: int) -> list[TestItem]:
    """Build the items of all three tasks, in order.

    Args:
        rows: clips from `load_test_clips`.
        pairs: largest number of clips that drive another person.
    """
    single = [
        TestItem(task, str(row["crop_id"]), row, row)
        for task in (Task.RECONSTRUCTION, Task.SUPER_RESOLUTION)
        for row in rows
    ]
    return [*single, *pair_people(rows, pairs)]


def pair_people(rows: Sequence[Row], count: int) -> list[TestItem]:
    """Pair clips of different people, up to `count` pairs, each clip driving at most once; sorted by item_id.

    Pairs depend on hashes of the ids alone. Adding or removing a clip therefore changes few pairs, and the
    same test clips give the same pairs everywhere.
    """
    drivers = sorted(rows, key=lambda row: _hash_rank(row["crop_id"]))[:count]
    pairs = []
    for driving in drivers:
        others = [row for row in rows if row["person_id"] != driving["person_id"]]
        if others:
            source = min(others, key=lambda row: _hash_rank(f"{row['crop_id']} {driving['crop_id']}"))
            name = f"{source['crop_id']}__by__{driving['crop_id']}"
            pairs.append(TestItem(Task.REENACTMENT, name, source, driving))
    return sorted(pairs, key=lambda pair: pair.item_id)


def _hash_rank(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def count_driving_frames(row: Row) -> int:
    """Count the driving frames of a clip, which are all but the first."""
    return len(row["frame_offsets"]) - 1


def read_clip_frames(row: Row, frames: slice) -> Frames:
    """Read some frames of a clip, (N, S, S, 3)."""
    ranges = zip(row["frame_offsets"][frames], row["frame_lengths"][frames], strict=True)
    return np.stack([read_frame(Path(row["path"]), *byte_range) for byte_range in ranges])


def read_clip_points(folder: Path, row: Row) -> tuple[Tensor, Tensor]:
    """Read a clip's landmarks (N, P, 2), and for each frame whether it has any (N,).

    Coordinates are in [-1, 1], where -1 and 1 are the outer edges of the frame.

    Raises:
        FaceanimError: the folder has no landmarks of this clip.
    """
    landmarks = load_landmarks(folder, row["video_id"]).get(row["crop_id"])
    if landmarks is None or len(landmarks[0]) != len(row["frame_offsets"]):
        raise FaceanimError(f"{folder} has no landmarks of {row['crop_id']}; run `dvc repro landmarks`")
    detected, points = landmarks
    side = read_clip_frames(row, slice(1)).shape[1]
    # The center of a pixel is half a pixel from its edge.
    return torch.from_numpy((2 * points + 1) / side - 1), torch.from_numpy(detected)
