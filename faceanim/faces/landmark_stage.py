"""Stage 4: detect the facial landmarks in every frame of the crops, and their jitter in still frames."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from faceanim.config import LandmarksConfig, RunConfig
from faceanim.faces.crop_stage import FRAGMENT_NAME
from faceanim.faces.landmark_detectors import (
    DetectorInfo,
    LandmarkDetector,
    create_detector,
    describe_detector,
    detect_tracked,
)
from faceanim.faces.landmark_sets import Points
from faceanim.incremental import RETRY_KEY, is_current, process_items, prune, read_metadata
from faceanim.media.boxes import Box
from faceanim.media.frames import Frame, Plane
from faceanim.media.mjpeg import stream_mjpeg
from faceanim.progress import ProgressCallback
from faceanim.schemas import CROPS, Reason, Status, landmarks_schema
from faceanim.tables import Row, atomic_path, content_key, read_table
from faceanim.workers import MapShards, ShardJob

VERSION = "2"
"""Version of the tables; increment it when the same crops would give different landmarks."""
THUMBNAIL_SIZE = (16, 16)
"""Width and height of the thumbnails used to find still frames, in pixels."""
STILL_THRESHOLD = 4
"""Maximum pixel difference between two thumbnails, of 255, below which their frames count as still.

The maximum is used rather than the mean, because a blink or a moving mouth changes only a small part of the
image, but rightly moves the landmarks.
"""
PARQUET_OPTIONS = {
    "compression": "zstd",
    "use_dictionary": ["crop_id"],
    "column_encoding": {"points.list.element": "BYTE_STREAM_SPLIT"},
}
"""Options of the Parquet writer: for 478 points, they halve the size and quarter the time of the defaults."""


@dataclass(frozen=True)
class Jitter:
    """Sum of the jitter of frames, from which the mean over several crops can be computed.

    Attributes:
        total: sum of the jitter, in pixels.
        frames: number of frames in the sum.
    """

    total: float
    frames: int


@dataclass(frozen=True)
class CroppedVideo:
    """Video with accepted crops.

    Attributes:
        video_id: id of the video.
        folder: folder of its crop files and their rows.
        key: key derived from the content of the crop files and from the detector.
    """

    video_id: str
    folder: Path
    key: str


@dataclass(frozen=True)
class CropLandmarks:
    """Landmarks of the N frames of a crop, NaN if not detected.

    Attributes:
        crop_id: id of the crop.
        boxes: (N, 4), x0, y0, x1, y1 in crop pixels.
        scores: (N,), NaN also if the detector reports no score.
        points: (N, P, 2), x then y, in crop pixels.
        jitter: jitter of the points in still frames.
    """

    crop_id: str
    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    points: Points
    jitter: Jitter

    @property
    def detected(self) -> npt.NDArray[np.bool_]:
        """Mask of the frames with landmarks, (N,)."""
        return ~np.isnan(self.boxes[:, 0])


def detect_landmarks(
    config: LandmarksConfig,
    run: RunConfig,
    crops: Path,
    crops_folder: Path,
    out: Path,
    map_shards: MapShards,
    on_progress: ProgressCallback,
) -> dict[str, Any]:
    """Detect the landmarks of new and changed crops, and remove the tables of missing videos.

    Args:
        config: choice of the detector.
        run: how the work is distributed.
        crops: crops.parquet.
        crops_folder: folder of the crop files, with one subfolder per video.
        out: folder of the tables, `<video_id>.parquet`.
        map_shards: runs the shards.
        on_progress: called with the number of videos done and in total.

    Returns:
        Name of the `detector`; numbers of `videos`, `crops`, `frames` and frames with landmarks (`detected`,
        as a fraction `detected_rate`); mean jitter over `jitter_frames` still frames in crop pixels
        (`jitter_px`).

    Raises:
        FaceanimError: the weights of the detector are not available.
    """
    info = describe_detector(config.detector)
    table = read_table(crops, CROPS)
    accepted = table.filter(pc.equal(table["status"], Status.OK))
    videos = [
        _describe_video(name, crops_folder, info)
        for name in sorted(accepted["video_id"].unique().to_pylist())
    ]
    out.mkdir(parents=True, exist_ok=True)
    stale = [video for video in videos if not is_current(_table_path(out, video), video.key)]
    process = partial(_detect_in_video, info=info, out=out)
    shard_job = ShardJob("landmarks", process, partial(_record_failure, info=info, out=out))
    process_items(shard_job, stale, len(videos), run, map_shards, on_progress)
    tables = [_table_path(out, video) for video in videos]
    prune(out, {path.name for path in tables})
    return {"detector": info.name, "videos": len(videos), "crops": len(accepted)} | _summarize_tables(tables)


def make_thumbnail(image: Frame | Plane) -> Plane:
    """Shrink the brightness of a frame to (16, 16), uint8, for the detection of motion."""
    luma = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(luma, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def measure_jitter(points: Points, thumbnails: npt.NDArray[np.uint8]) -> Jitter:
    """Sum the mean |p[t-1] - 2 p[t] + p[t+1]| over a frame's landmarks across the still frames of a crop.

    A frame counts if it and both its neighbors have landmarks and the image is still between them. Second
    differences exclude uniform motion.

    Args:
        points: (N, P, 2), landmarks of consecutive frames, NaN if not detected.
        thumbnails: (N, 16, 16), uint8, see `make_thumbnail`.
    """
    change = np.abs(np.diff(thumbnails.astype(np.int16), axis=0)).max(axis=(1, 2))
    is_still = change < STILL_THRESHOLD
    jitter = np.linalg.norm(points[2:] - 2 * points[1:-1] + points[:-2], axis=2).mean(axis=1)
    counted = jitter[is_still[1:] & is_still[:-1] & np.isfinite(jitter)]
    return Jitter(float(counted.sum(dtype=np.float64)), len(counted))


def _describe_video(video_id: str, crops: Path, info: DetectorInfo) -> CroppedVideo:
    folder = crops / video_id
    crops_key = read_metadata(folder / FRAGMENT_NAME).get("key")
    return CroppedVideo(video_id, folder, content_key(VERSION, crops_key, *asdict(info).values()))


def _table_path(out: Path, video: CroppedVideo) -> Path:
    return out / f"{video.video_id}.parquet"


def _summarize_tables(tables: Sequence[Path]) -> dict[str, Any]:
    """Count the frames, and compute the fraction with a detected face and the mean jitter in crop pixels."""
    # Each file stores its sums in the metadata: reading the points of millions of frames takes minutes.
    sums = [pq.read_metadata(path).metadata for path in tables]
    frames, detected, jitter_frames = (
        sum(int(metadata[name]) for metadata in sums) for name in (b"frames", b"detected", b"jitter_frames")
    )
    total = sum(float(metadata[b"jitter_total"]) for metadata in sums)
    return {
        "frames": frames,
        "detected": detected,
        "detected_rate": round(detected / frames, 4) if frames else 0.0,
        "jitter_px": round(total / jitter_frames, 4) if jitter_frames else None,
        "jitter_frames": jitter_frames,
    }


def _detect_in_video(video: CroppedVideo, info: DetectorInfo, out: Path) -> bool:
    """Detect the landmarks in all crops of a video and write its table, unless it is up to date."""
    cv2.setNumThreads(1)  # one of several worker processes, one core each
    if is_current(_table_path(out, video), video.key):
        return True
    with closing(create_detector(info.name)) as detector:
        crops = (
            _detect_in_crop(row, video.folder, detector, info.points) for row in _read_accepted_crops(video)
        )
        _write_table(crops, info, _table_path(out, video), {"key": video.key})
    return True


def _read_accepted_crops(video: CroppedVideo) -> Iterator[Row]:
    """Yield the accepted rows of a video one at a time, since each lists every frame of its crop."""
    columns = ["crop_id", "path", "status", "frame_offsets", "frame_lengths", "faces", "seen"]
    table = pq.read_table(video.folder / FRAGMENT_NAME, columns=columns)
    accepted = table.filter(pc.equal(table["status"], Status.OK))
    for number in range(len(accepted)):
        yield accepted.slice(number, 1).to_pylist()[0]


def _detect_in_crop(row: Row, folder: Path, detector: LandmarkDetector, points: int) -> CropLandmarks:
    """Detect the landmarks in each frame of a crop; where the tracker missed the face, search the frame."""
    count = len(row["frame_offsets"])
    result = _empty_landmarks(row["crop_id"], count, points)
    thumbnails = np.zeros((count, *THUMBNAIL_SIZE), dtype=np.uint8)
    images = stream_mjpeg(folder / row["path"], row["frame_offsets"], row["frame_lengths"], detector.gray)
    tracked = [Box(*box) for box in np.reshape(row["faces"], (count, 4)).tolist()]
    for number, (image, box, seen) in enumerate(zip(images, tracked, row["seen"], strict=True)):
        thumbnails[number] = make_thumbnail(image)
        face = detect_tracked(detector, image, box, seen)
        if face is not None:
            result.boxes[number] = face.box
            result.scores[number] = np.nan if face.score is None else face.score
            result.points[number] = face.points
    return replace(result, jitter=measure_jitter(result.points, thumbnails))


def _empty_landmarks(crop_id: str, frames: int, points: int) -> CropLandmarks:
    shapes = ((frames, 4), (frames,), (frames, points, 2))
    boxes, scores, coordinates = (np.full(shape, np.nan, dtype=np.float32) for shape in shapes)
    return CropLandmarks(crop_id, boxes, scores, coordinates, Jitter(0.0, 0))


def _write_table(
    crops: Iterable[CropLandmarks], info: DetectorInfo, path: Path, metadata: dict[str, str]
) -> None:
    """Write a video's table crop by crop; the metadata hold the detector and the sums of the crops."""
    description = {
        "detector": info.name,
        "version": info.version,
        "weights_sha256": info.weights_sha256,
        "scheme": info.scheme,
    }
    schema = landmarks_schema(info.points).with_metadata(description | metadata)
    sums = dict.fromkeys(("frames", "detected", "jitter_frames"), 0) | {"jitter_total": 0.0}
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema, **PARQUET_OPTIONS) as writer:
        for crop in crops:
            writer.write_table(_to_arrow(crop, schema))
            sums["frames"] += len(crop.detected)
            sums["detected"] += int(crop.detected.sum())
            sums["jitter_frames"] += crop.jitter.frames
            sums["jitter_total"] += crop.jitter.total
        # Not part of the schema, which is written first.
        writer.add_key_value_metadata({name: str(value) for name, value in sums.items()})


def _to_arrow(crop: CropLandmarks, schema: pa.Schema) -> pa.Table:
    """Convert to a table with a row for each frame; values not detected are null."""
    detected = crop.detected
    columns = [
        pa.repeat(crop.crop_id, len(detected)),
        np.arange(len(detected), dtype=np.int32),
        detected,
        _to_list_column(crop.boxes, detected),
        pa.array(crop.scores, mask=np.isnan(crop.scores)),
        _to_list_column(crop.points, detected),
    ]
    return pa.table(columns, schema=schema)


def _to_list_column(values: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]) -> pa.ListArray:
    """Convert to a column with the values of each frame as a list, null if not valid."""
    ends = np.cumsum(valid, dtype=np.int32) * np.int32(values[0].size)
    offsets = np.concatenate((np.zeros(1, np.int32), ends))
    return pa.ListArray.from_arrays(offsets, values[valid].ravel(), mask=pa.array(~valid))


def _record_failure(video: CroppedVideo, reason: Reason, info: DetectorInfo, out: Path) -> bool:
    """Record a video whose worker crashed or hung as having no detections; the next run retries it."""
    crops = (
        _empty_landmarks(row["crop_id"], len(row["frame_offsets"]), info.points)
        for row in _read_accepted_crops(video)
    )
    _write_table(crops, info, _table_path(out, video), {"key": RETRY_KEY, "failed": reason.value})
    return False
