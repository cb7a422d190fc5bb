"""What is evaluated: the held-out clips, and who drives whom."""

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
    """One thing to do: a source's first frame takes on the motion of a driving clip's other frames.

    Attributes:
        task: why.
        item_id: the clip's crop_id, or the pair's.
        source: a row of crops.parquet.
        driving: likewise; in a reconstruction, the same.
    """

    task: Task
    item_id: str
    source: Row
    driving: Row

    @property
    def frames(self) -> int:
        """How many driving frames there are."""
        return count_driving_frames(self.driving)


def load_test_clips(crops: Path) -> list[Row]:
    """The accepted clips of the test split that have a driving frame, by id.

    Raises:
        FaceanimError: there is none.
    """
    rows = [
        row
        for row in read_rows(crops, CROPS)
        if row["split"] == "test" and row["status"] == Status.OK and count_driving_frames(row)
    ]
    if not rows:
        raise FaceanimError(f"{crops} has no accepted clip in the test split; hold out more people (index)")
    return sorted(rows, key=lambda row: str(row["crop_id"]))


def build_items(rows: Sequence[Row], pairs: int) -> list[TestItem]:
    """All that is to be done with the test clips: each of the three tasks, in order.

    Args:
        rows: of `held_out_clips`.
        pairs: how many clips drive another person, at most.
    """
    alone = [
        TestItem(task, str(row["crop_id"]), row, row)
        for task in (Task.RECONSTRUCTION, Task.SUPER_RESOLUTION)
        for row in rows
    ]
    return [*alone, *pair_people(rows, pairs)]


def pair_people(rows: Sequence[Row], count: int) -> list[TestItem]:
    """Clips of different people, as many as asked for, each clip driving at most once, by id.

    Who drives whom is decided by hashes of the names alone, so a clip more or less changes few pairs, and
    everyone who has the same test clips has the same pairs.
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
    """Frames of a clip but its first."""
    return len(row["frame_offsets"]) - 1


def read_clip_frames(row: Row, frames: slice) -> Frames:
    """Some frames of a clip, (N, S, S, 3)."""
    places = zip(row["frame_offsets"][frames], row["frame_lengths"][frames], strict=True)
    return np.stack([read_frame(Path(row["path"]), *place) for place in places])


def read_clip_points(folder: Path, row: Row) -> tuple[Tensor, Tensor]:
    """A clip's landmarks (N, P, 2) in [-1, 1], the ends being its outer edges, and where there are any (N,).

    Raises:
        FaceanimError: the folder has none of this clip.
    """
    found = load_landmarks(folder, row["video_id"]).get(row["crop_id"])
    if found is None or len(found[0]) != len(row["frame_offsets"]):
        raise FaceanimError(f"{folder} has no landmarks of {row['crop_id']}; run `dvc repro landmarks`")
    detected, points = found
    side = read_clip_frames(row, slice(1)).shape[1]
    # A pixel's centre lies half a pixel from its edge.
    return torch.from_numpy((2 * points + 1) / side - 1), torch.from_numpy(detected)
