"""Checks that the videos gave what the trainings and the evaluation need, with the reasons if not.

The stages run them last, after their tables are written: hours of training would end in the same error.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from faceanim.config import CropConfig, LandmarksConfig
from faceanim.errors import FaceanimError
from faceanim.schemas import CROPS, DOWNLOAD, INDEX, Reason, Status
from faceanim.tables import read_rows, read_table

_DAMAGED = (Reason.INVALID_MEDIA, Reason.NO_VIDEO_STREAM, Reason.TRUNCATED)
MIN_FRAMES = 2
"""Frames of the shortest crop that gives a source and a driving frame."""


def check_crops(config: CropConfig, index: Path, download: Path, crops: Path) -> None:
    """Check that train and test each have an accepted crop.

    Args:
        config: sizes and lengths by which crops were accepted.
        index: index.parquet.
        download: download.parquet.
        crops: crops.parquet.

    Raises:
        FaceanimError: a side has no accepted crop; the message counts its rejected sequences and failed
            videos by reason, and says what to change.
    """
    table = read_table(crops, CROPS).select(["split", "status", "reason", "first_frame", "last_frame"])
    accepted = set(_select_usable(table)["split"].to_pylist())
    missing = [split for split in ("train", "test") if split not in accepted]
    if not missing:
        return
    rejected = Counter(table.filter(pc.field("split").isin(missing))["reason"].to_pylist())
    failed = _count_failed_videos(index, download, missing)
    counts = [f"{_format(rejected)} of the sequences"] * bool(rejected)
    counts += [f"{_format(failed)} of the videos"] * bool(failed)
    advice = _give_advice(config, [*rejected, *failed], has_other_side=bool(accepted))
    raise FaceanimError(
        f"crop: no face was accepted in {' and '.join(missing)} ({', '.join(counts)}); {'; or '.join(advice)}"
    )


def check_landmarks(config: LandmarksConfig, crops: Path, landmarks: Path) -> None:
    """Check that a video of the train split has two frames with landmarks.

    Args:
        config: choice of the detector.
        crops: crops.parquet.
        landmarks: folder of the tables of landmarks.

    Raises:
        FaceanimError: no video has.
    """
    usable = _select_usable(read_table(crops, CROPS).filter(pc.field("split") == "train"))
    frames = 0
    for video_id in sorted(set(usable["video_id"].to_pylist())):
        metadata = pq.read_metadata(landmarks / f"{video_id}.parquet").metadata
        frames += int(metadata[b"frames"])
        if int(metadata[b"detected"]) >= MIN_FRAMES:
            return
    other = "mediapipe" if config.detector == "dlib" else "dlib"
    raise FaceanimError(
        f"landmarks: {config.detector} found no face in the {frames} frames of train; use videos of larger, "
        f"sharper, frontal faces; or try `landmarks.detector: {other}`"
    )


def _select_usable(table: pa.Table) -> pa.Table:
    frames = pc.add(pc.subtract(table["last_frame"], table["first_frame"]), 1)
    return table.filter(pc.and_(pc.equal(table["status"], Status.OK), pc.greater_equal(frames, MIN_FRAMES)))


def _count_failed_videos(index: Path, download: Path, splits: Collection[str]) -> Counter[str]:
    """Count the videos of the splits that were not downloaded, by reason."""
    videos = {row["clip_id"]: row["video_id"] for row in read_rows(index, INDEX) if row["split"] in splits}
    failed = {
        videos[row["clip_id"]]: row["reason"]
        for row in read_rows(download, DOWNLOAD)
        if row["clip_id"] in videos and row["status"] != Status.OK
    }
    return Counter(failed.values())


def _format(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))


def _give_advice(config: CropConfig, reasons: Iterable[str], has_other_side: bool) -> list[str]:
    """List what may help against the reasons, more videos last."""
    known = {
        Reason.TOO_SMALL: f"lower crop.min_size, which is {config.min_size}",
        Reason.TOO_SHORT: f"lower crop.min_frames, which is {config.min_frames}",
        **dict.fromkeys(_DAMAGED, "replace the damaged files"),
        Reason.PAST_END: "correct the times in the list",
    }
    # Several reasons may have the same remedy.
    advice = list(dict.fromkeys(known[Reason(reason)] for reason in sorted(reasons) if reason in known))
    if has_other_side:
        advice.append("hold out other people (index.test_people)")
    return [*advice, "add videos in which one face is large, sharp and turned to the camera"]
