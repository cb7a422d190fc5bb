"""Stage 4: the facial landmarks of every frame of every crop, found once."""

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
    Points,
    create_detector,
    describe_detector,
)
from faceanim.incremental import RETRY_KEY, is_current, process_items, prune, read_metadata
from faceanim.media.boxes import Box
from faceanim.media.frames import Frame, Plane
from faceanim.media.mjpeg import stream_mjpeg
from faceanim.progress import ProgressCallback
from faceanim.schemas import CROPS, Reason, Status, landmarks_schema
from faceanim.tables import Row, atomic_path, content_key, read_table
from faceanim.workers import MapShards, ShardJob

THUMBNAIL_SIZE = (16, 16)
STILL_THRESHOLD = 4
"""Two frames are still where no pixel of their thumbnails differs by as much, of 255. Not the mean of them: a
blink or a moving mouth changes little of a picture, and moves the landmarks rightly."""


@dataclass(frozen=True)
class Jitter:
    """A sum of jitters, from which the mean over several crops can be had.

    Attributes:
        total: pixels.
        frames: how many frames it is the sum of.
    """

    total: float
    frames: int


def make_thumbnail(image: Frame | Plane) -> Plane:
    """A frame's brightness, (16, 16): what tells whether the picture moves."""
    luma = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(luma, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def measure_jitter(points: Points, thumbnails: npt.NDArray[np.uint8]) -> Jitter:
    """The mean |p[t-1] - 2 p[t] + p[t+1]| of a frame's landmarks, added up over a crop's still frames.

    A frame counts where it and both its neighbours have landmarks, and the picture is still from one to the
    other. Second differences leave out what even motion there is.

    Args:
        points: (N, P, 2), the landmarks of consecutive frames, NaN where there are none.
        thumbnails: (N, 16, 16), see `thumbnail`.
    """
    change = np.abs(np.diff(thumbnails.astype(np.int16), axis=0)).max(axis=(1, 2))
    still = change < STILL_THRESHOLD
    trembling = np.linalg.norm(points[2:] - 2 * points[1:-1] + points[:-2], axis=2).mean(axis=1)
    counted = trembling[still[1:] & still[:-1] & np.isfinite(trembling)]
    return Jitter(float(counted.sum(dtype=np.float64)), len(counted))


VERSION = "2"
"""Raise it when the same crops would give other landmarks than before."""

MIN_FACE_IOU = 0.2
"""What a detector finds must overlap the face that the crop follows by this (intersection over union):
elsewhere it is someone else's, or no face. Right ones overlap by 0.5 and more."""

PARQUET_OPTIONS = {
    "compression": "zstd",
    "use_dictionary": ["crop_id"],
    "column_encoding": {"points.list.element": "BYTE_STREAM_SPLIT"},
}
"""How tables are written: for 478 points in half the bytes, and a quarter of the time, of the defaults."""


@dataclass(frozen=True)
class CroppedVideo:
    """A video with accepted crops.

    Attributes:
        video_id: its name.
        folder: of its crop files and their rows.
        key: stands for the content of the crop files and for the detector.
    """

    video_id: str
    folder: Path
    key: str


@dataclass(frozen=True)
class CropLandmarks:
    """What was found in the N frames of a crop; NaN where nothing was.

    Attributes:
        crop_id: its name.
        boxes: (N, 4), x0 y0 x1 y1 in crop pixels.
        scores: (N,), NaN also where the detector tells none.
        points: (N, P, 2), x then y in crop pixels.
        jitter: of the points, where the picture is still.
    """

    crop_id: str
    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    points: Points
    jitter: Jitter

    @property
    def detected(self) -> npt.NDArray[np.bool_]:
        """(N,), in which frames there are landmarks."""
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
    """Find the landmarks of the crops that changed, drop those that are gone, and return the counts.

    Args:
        config: which detector.
        run: how the work is spread.
        crops: crops.parquet.
        crops_folder: folder of the crop files, one folder a video.
        out: folder of the tables, `<video_id>.parquet`.
        map_shards: runs the work.
        on_progress: told of the videos done, and of all.

    Raises:
        FaceanimError: the detector's weights are not to be had.
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
    do = partial(_detect_in_video, info=info, out=out)
    work = ShardJob("landmarks", do, partial(_record_failure, info=info, out=out))
    process_items(work, stale, len(videos), run, map_shards, on_progress)
    tables = [_table_path(out, video) for video in videos]
    prune(out, {path.name for path in tables})
    return {"detector": info.name, "videos": len(videos), "crops": len(accepted)} | _summarize_tables(tables)


def _describe_video(video_id: str, crops: Path, info: DetectorInfo) -> CroppedVideo:
    folder = crops / video_id
    made_from = read_metadata(folder / FRAGMENT_NAME).get("key")
    return CroppedVideo(video_id, folder, content_key(VERSION, made_from, *asdict(info).values()))


def _table_path(out: Path, video: CroppedVideo) -> Path:
    return out / f"{video.video_id}.parquet"


def _summarize_tables(tables: Sequence[Path]) -> dict[str, Any]:
    """Counts of frames, the share of them in which a face was found, and the mean jitter in crop pixels."""
    # Each file tells its sums: to read the points of millions of frames takes minutes.
    sums = [pq.read_metadata(path).metadata for path in tables]
    frames, detected, still = (
        sum(int(each[name]) for each in sums) for name in (b"frames", b"detected", b"jitter_frames")
    )
    total = sum(float(each[b"jitter_total"]) for each in sums)
    return {
        "frames": frames,
        "detected": detected,
        "detected_rate": round(detected / frames, 4) if frames else 0.0,
        "jitter_px": round(total / still, 4) if still else None,
        "jitter_frames": still,
    }


def _detect_in_video(video: CroppedVideo, info: DetectorInfo, out: Path) -> bool:
    """Find the landmarks in all crops of a video and write its table, unless that is done."""
    cv2.setNumThreads(1)  # this is a worker process; the others have the other cores
    if is_current(_table_path(out, video), video.key):
        return True
    with closing(create_detector(info.name)) as found:
        crops = (
            _detect_in_crop(row, video.folder, found, info.points) for row in _read_accepted_crops(video)
        )
        _write_table(crops, info, _table_path(out, video), {"key": video.key})
    return True


def _read_accepted_crops(video: CroppedVideo) -> Iterator[Row]:
    """The accepted rows of a video, one at a time: they list every frame."""
    columns = ["crop_id", "path", "status", "frame_offsets", "frame_lengths", "faces", "seen"]
    table = pq.read_table(video.folder / FRAGMENT_NAME, columns=columns)
    accepted = table.filter(pc.equal(table["status"], Status.OK))
    for number in range(len(accepted)):
        yield accepted.slice(number, 1).to_pylist()[0]


def _detect_in_crop(row: Row, folder: Path, found: LandmarkDetector, points: int) -> CropLandmarks:
    """Find the landmarks in each frame of a crop; where the followed face was not seen, look for it."""
    count = len(row["frame_offsets"])
    result = _empty_landmarks(row["crop_id"], count, points)
    thumbnails = np.zeros((count, *THUMBNAIL_SIZE), dtype=np.uint8)
    images = stream_mjpeg(folder / row["path"], row["frame_offsets"], row["frame_lengths"], found.gray)
    followed = [Box(*box) for box in np.reshape(row["faces"], (count, 4)).tolist()]
    for number, (image, box, seen) in enumerate(zip(images, followed, row["seen"], strict=True)):
        thumbnails[number] = make_thumbnail(image)
        face = found.detect(image, box if seen else None)
        if face is not None and face.box.iou(box) >= MIN_FACE_IOU:
            result.boxes[number] = face.box
            result.scores[number] = np.nan if face.score is None else face.score
            result.points[number] = face.points
    return replace(result, jitter=measure_jitter(result.points, thumbnails))


def _empty_landmarks(crop_id: str, frames: int, points: int) -> CropLandmarks:
    shapes = ((frames, 4), (frames,), (frames, points, 2))
    boxes, scores, places = (np.full(shape, np.nan, dtype=np.float32) for shape in shapes)
    return CropLandmarks(crop_id, boxes, scores, places, Jitter(0.0, 0))


def _write_table(
    crops: Iterable[CropLandmarks], info: DetectorInfo, path: Path, metadata: dict[str, str]
) -> None:
    """Write a video's table, crop by crop, with the detector and the sums of `_metrics` in its metadata."""
    about = {
        "detector": info.name,
        "version": info.version,
        "weights_sha256": info.weights_sha256,
        "scheme": info.scheme,
    }
    schema = landmarks_schema(info.points).with_metadata(about | metadata)
    sums = dict.fromkeys(("frames", "detected", "jitter_frames"), 0) | {"jitter_total": 0.0}
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema, **PARQUET_OPTIONS) as writer:
        for crop in crops:
            writer.write_table(_to_arrow(crop, schema))
            sums["frames"] += len(crop.detected)
            sums["detected"] += int(crop.detected.sum())
            sums["jitter_frames"] += crop.jitter.frames
            sums["jitter_total"] += crop.jitter.total
        # Not into the schema, which is written first.
        writer.add_key_value_metadata({name: str(value) for name, value in sums.items()})


def _to_arrow(crop: CropLandmarks, schema: pa.Schema) -> pa.Table:
    """A row for each frame; what was not found is null."""
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
    """A column with the values of each frame as a list; null where it is not valid."""
    ends = np.cumsum(valid, dtype=np.int32) * np.int32(values[0].size)
    offsets = np.concatenate((np.zeros(1, np.int32), ends))
    return pa.ListArray.from_arrays(offsets, values[valid].ravel(), mask=pa.array(~valid))


def _record_failure(video: CroppedVideo, reason: Reason, info: DetectorInfo, out: Path) -> bool:
    """The outcome of a video whose worker crashed or hung: no frame detected; the next run tries it again."""
    crops = (
        _empty_landmarks(row["crop_id"], len(row["frame_offsets"]), info.points)
        for row in _read_accepted_crops(video)
    )
    _write_table(crops, info, _table_path(out, video), {"key": RETRY_KEY, "failed": reason.value})
    return False
