"""Test clips of a real face: crops and tables in the layout that evaluation reads."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from skimage.data import astronaut

from faceanim.media.mjpeg import write_mjpeg
from faceanim.schemas import CROPS, Reason, Status, landmarks_schema
from faceanim.tables import write_table

SIDE = 128
STEP = 4
"""Pixels by which the face moves to the left in each frame."""


def moving_face(count: int, top: int, side: int) -> list[np.ndarray]:
    frames = [astronaut()[top : top + SIDE, 150 + STEP * n : 150 + SIDE + STEP * n] for n in range(count)]
    return [cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames]


def write_crop(folder: Path, person: str, name: str, split: str, count: int, top: int, side: int) -> dict:
    """Write a crop and its landmarks, which are missing in frame 2, and return its row."""
    clip_id = f"{person}--{name}"
    crop_id = f"{clip_id}--0000000"
    path = folder / "crops" / f"{crop_id}.avi"
    offsets, lengths = write_mjpeg(path, moving_face(count, top, side), Fraction(25), 95)
    first = np.random.default_rng(0).uniform(40, 90, size=(68, 2))
    landmarks = [
        {
            "crop_id": crop_id,
            "frame": n,
            "detected": n != 2,
            "box": [30, 30, 90, 90] if n != 2 else None,
            "score": 1.0 if n != 2 else None,
            "points": (first - [STEP * n, 0]).ravel().tolist() if n != 2 else None,
        }
        for n in range(count)
    ]
    write_table(landmarks, landmarks_schema(68), folder / "landmarks" / f"{clip_id}.parquet")
    return {
        "crop_id": crop_id,
        "clip_id": clip_id,
        "video_id": clip_id,
        "person_id": person,
        "split": split,
        "path": str(path),
        "first_frame": 0,
        "last_frame": count - 1,
        "fps": 25.0,
        "box": [0, 0, side, side],
        "end_reason": "end",
        "status": Status.OK,
        "reason": Reason.NONE,
        "frame_offsets": offsets,
        "frame_lengths": lengths,
    }


Clip = tuple[str, str, str, int, int]
CLIPS: Sequence[Clip] = (
    ("bea", "one", "test", 5, 20),
    ("ada", "two", "test", 7, 30),
    ("ada", "one", "test", 4, 25),
    ("cyd", "one", "train", 4, 20),
)
"""Person, name, split, number of frames, and top edge in the photograph of each clip."""
FEW_CLIPS: Sequence[Clip] = (
    ("ada", "one", "test", 4, 25),
    ("bea", "one", "test", 4, 20),
    ("cyd", "one", "train", 4, 20),
)
"""The fewest clips that can be evaluated with re-enactments and flicker."""


def write_clips(folder: Path, side: int = SIDE, clips: Sequence[Clip] = CLIPS) -> None:
    """Write crops.parquet, crops and landmarks of clips."""
    rows = [write_crop(folder, *clip, side) for clip in clips]
    write_table(rows, CROPS, folder / "crops.parquet")
