"""Stage 4: the facial landmarks of every frame of every crop, found once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pyarrow.compute as pc
import pyarrow.parquet as pq

from faceanim.config import LandmarksConfig, RunConfig
from faceanim.data.clips import read_clip
from faceanim.data.items import (
    NOT_KEPT,
    OnProgress,
    content_key,
    is_current,
    prune,
    read_metadata,
    work_through,
    write_fragment,
)
from faceanim.faces.boxes import Box
from faceanim.faces.crop import FRAGMENT
from faceanim.faces.detectors import DetectorInfo, describe, detector
from faceanim.schemas import CROPS, Reason, Status, landmarks_schema
from faceanim.shards import MapShards, Work
from faceanim.tables import Row, read_rows

VERSION = "1"
"""Raise it when the same crops would give other landmarks than before."""

EYES = {"ibug68": ((36, 39), (42, 45)), "mediapipe478": ((33, 133), (362, 263))}
"""By scheme: outer and inner (then inner and outer) corner of the eye on the image's left and right."""
MOUTH = {"ibug68": (48, 54), "mediapipe478": (61, 291)}
"""By scheme: the mouth's corners, image left then right."""


@dataclass(frozen=True)
class CroppedClip:
    """The accepted crops of one clip (rows of crops.parquet)."""

    clip_id: str
    crops: tuple[Row, ...]
    key: str


def landmarks(
    config: LandmarksConfig,
    run: RunConfig,
    crops: Path,
    crops_folder: Path,
    out: Path,
    map_shards: MapShards,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Find the landmarks of the crops that changed, drop those that are gone, and return the counts.

    Args:
        config: which detector.
        run: how the work is spread.
        crops: crops.parquet.
        crops_folder: folder of the crop files and their fragments.
        out: folder of the tables, `<clip_id>.parquet`.
        map_shards: runs the work.
        on_progress: told of the clips done, and of all.

    Raises:
        FaceanimError: the detector's weights are not to be had.
    """
    info = describe(config.detector)
    clips = list(_clips(read_rows(crops, CROPS), crops_folder, info))
    out.mkdir(parents=True, exist_ok=True)
    stale = [clip for clip in clips if not is_current(_table(out, clip.clip_id), clip.key)]
    work = Work(
        "landmarks",
        partial(_find, detector_name=config.detector, folder=out),
        partial(_give_up, info=info, folder=out),
        run.item_timeout_s,
    )
    work_through(work, stale, len(clips), run, map_shards, on_progress)
    prune(out, {_table(out, clip.clip_id).name for clip in clips})
    return _metrics(clips, info, out)


def _metrics(clips: Sequence[CroppedClip], info: DetectorInfo, folder: Path) -> dict[str, Any]:
    """Counts of clips, crops and frames, and the share of the frames in which a face was found."""
    seen = [pq.read_table(_table(folder, clip.clip_id), columns=["detected"])["detected"] for clip in clips]
    frames = sum(len(column) for column in seen)
    detected = sum(int(pc.sum(column).as_py() or 0) for column in seen)
    return {
        "detector": info.name,
        "clips": len(clips),
        "crops": sum(len(clip.crops) for clip in clips),
        "frames": frames,
        "detected": detected,
        "detected_rate": round(detected / frames, 4) if frames else 0.0,
    }


def _table(folder: Path, clip_id: str) -> Path:
    return folder / f"{clip_id}.parquet"


def _clips(rows: Sequence[Row], folder: Path, info: DetectorInfo) -> Iterator[CroppedClip]:
    """The clips with accepted crops; a clip's key stands for the content of its crop files."""
    by_clip: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["status"] == Status.OK:
            by_clip[row["clip_id"]].append(row)
    for clip_id, accepted in sorted(by_clip.items()):
        made_from = read_metadata(folder / clip_id / FRAGMENT).get("key")
        key = content_key(VERSION, made_from, info.name, info.version, info.weights_sha256)
        yield CroppedClip(clip_id, tuple(accepted), key)


def _find(clip: CroppedClip, detector_name: str, folder: Path) -> None:
    """Find the landmarks in all crops of a clip and write its table."""
    cv2.setNumThreads(1)  # this is a worker process; the others have the other cores
    found = detector(detector_name)
    rows = [row for crop in clip.crops for row in _crop_rows(crop, detector_name)]
    schema = landmarks_schema(found.info.points)
    write_fragment(rows, schema, _table(folder, clip.clip_id), clip.key, _metadata(found.info))


def _crop_rows(crop: Row, detector_name: str) -> Iterator[Row]:
    """A row for each frame of a crop; the box of one frame tells where to look in the next."""
    found = detector(detector_name)
    frames = read_clip(Path(crop["path"]), crop["frame_offsets"], crop["frame_lengths"])
    box: Box | None = None
    for number, frame in enumerate(frames):
        row = {"crop_id": crop["crop_id"], "frame": number}
        face = found.detect(frame, box)
        if face is None:
            yield row | {"detected": False}
            continue
        box = face.box
        points = face.points.ravel().tolist()
        yield row | {"detected": True, "box": list(box), "score": face.score, "points": points}


def _metadata(info: DetectorInfo) -> dict[str, str]:
    return {
        "detector": info.name,
        "version": info.version,
        "weights_sha256": info.weights_sha256,
        "scheme": info.scheme,
    }


def _give_up(clip: CroppedClip, reason: Reason, info: DetectorInfo, folder: Path) -> None:
    """The outcome of a clip whose worker crashed or hung: no frame detected; the next run tries it again."""
    rows = [
        {"crop_id": crop["crop_id"], "frame": number, "detected": False}
        for crop in clip.crops
        for number in range(len(crop["frame_lengths"]))
    ]
    metadata = {**_metadata(info), "failed": reason.value}
    write_fragment(rows, landmarks_schema(info.points), _table(folder, clip.clip_id), NOT_KEPT, metadata)
