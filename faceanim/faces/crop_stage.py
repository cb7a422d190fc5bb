"""Stage 3: track the face, crop it with one box per sequence, and resize it (section 4 of the paper)."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from faceanim.config import CropConfig, RunConfig
from faceanim.faces.cropping import ClipTarget, crop_video, failed_row
from faceanim.incremental import RETRY_KEY, drop_columns, is_current, process_items, prune, write_fragment
from faceanim.ingest.records import VideoRecord, read_fetched
from faceanim.media.boxes import Box
from faceanim.progress import ProgressCallback
from faceanim.schemas import CROPS, Reason, Status
from faceanim.tables import Row, content_key, write_arrow
from faceanim.workers import MapShards, ShardJob

VERSION = "5"
"""Version of the crops; increment it when the same input would give different crops."""

FRAGMENT_NAME = "rows.parquet"
"""Name of the file with the rows of a video, in its folder of crops."""
# Without the split: a person may change sides without a new crop.
_SCHEMA = drop_columns(CROPS, "video_id", "person_id", "split")


@dataclass(frozen=True)
class CropJob:
    """Fetched video with the clips to crop from it and a key derived from all inputs of its crops."""

    video: VideoRecord
    targets: tuple[ClipTarget, ...]
    key: str

    @property
    def video_id(self) -> str:
        """Id of the video, and name of its folder of crops."""
        return self.video.video_id


def crop_videos(
    config: CropConfig,
    run: RunConfig,
    index: Path,
    download: Path,
    crops: Path,
    out: Path,
    map_shards: MapShards,
    on_progress: ProgressCallback,
) -> dict[str, Any]:
    """Crop new and changed videos, remove the crops of missing ones, and write crops.parquet.

    Args:
        config: sizes, lengths and thresholds.
        run: how the work is distributed.
        index: index.parquet.
        download: download.parquet.
        crops: folder of the crop files, with one subfolder per video.
        out: crops.parquet.
        map_shards: runs the shards.
        on_progress: called with the number of videos done and in total.

    Returns:
        Counts of crops.parquet: `videos`, `clips`, `sequences` and `frames` by outcome, and
        `viola_jones_found`, the fraction of the frames of accepted crops in which Viola-Jones found the face.
    """
    fetched = read_fetched(index, download)
    jobs = [_make_job(video, clips, config) for video, clips in fetched]
    crops.mkdir(parents=True, exist_ok=True)
    stale = [job for job in jobs if not is_current(_fragment_path(crops, job.video_id), job.key)]
    process = partial(_crop_one, config=config, folder=crops)
    shard_job = ShardJob("crop", process, partial(_record_crash, folder=crops))
    process_items(shard_job, stale, len(jobs), run, map_shards, on_progress)
    prune(crops, {job.video_id for job in jobs})
    clips = {clip["clip_id"]: clip for _, rows in fetched for clip in rows}
    table = _build_table([job.video_id for job in jobs], clips, crops)
    write_arrow(table, out)
    return _count_outcomes(table, len(jobs), len(clips))


def _make_job(video: VideoRecord, clips: Sequence[Row], config: CropConfig) -> CropJob:
    targets = tuple(map(_make_target, clips))
    key = content_key(VERSION, video.sha256, list(map(asdict, targets)), config.model_dump(mode="json"))
    return CropJob(video, targets, key)


def _make_target(clip: Row) -> ClipTarget:
    box = Box(*clip["box"]) if clip["box"] is not None else None
    size = (clip["box_width"], clip["box_height"]) if box is not None else None
    return ClipTarget(clip["clip_id"], clip["start_s"], clip["end_s"], box, size)


def _fragment_path(crops: Path, video_id: str) -> Path:
    return crops / video_id / FRAGMENT_NAME


def _crop_one(job: CropJob, config: CropConfig, folder: Path) -> bool:
    """Crop one video into its own folder unless it is up to date; the rows are written last.

    Returns:
        True if at least one crop was accepted.
    """
    cv2.setNumThreads(1)  # one of several worker processes, one core each
    fragment = _fragment_path(folder, job.video_id)
    if is_current(fragment, job.key):
        return Status.OK in pq.read_table(fragment, columns=["status"])["status"].to_pylist()
    target = folder / job.video_id
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    assert job.video.path is not None
    rows = crop_video(Path(job.video.path), job.targets, config, target)
    write_fragment(rows, _SCHEMA, fragment, job.key)
    return any(row["status"] is Status.OK for row in rows)


def _record_crash(job: CropJob, reason: Reason, folder: Path) -> bool:
    """Record the failure of a video whose worker crashed or hung; the next run retries it."""
    target = folder / job.video_id
    shutil.rmtree(target, ignore_errors=True)
    rows = [failed_row(clip, reason) for clip in job.targets]
    write_fragment(rows, _SCHEMA, target / FRAGMENT_NAME, RETRY_KEY)
    return False


def _build_table(video_ids: Sequence[str], rows: Mapping[str, Row], crops: Path) -> pa.Table:
    """Combine the rows of all videos by crop id, and add the columns from the index and the folders."""
    parts = []
    for video_id in video_ids:
        part = pq.read_table(_fragment_path(crops, video_id), schema=_SCHEMA)
        folder = pa.scalar(f"{(crops / video_id).as_posix()}/")
        path = pc.binary_join_element_wise(folder, part["path"], "")
        part = part.set_column(part.column_names.index("path"), "path", path)
        parts.append(part.append_column("video_id", pa.array([video_id] * len(part), pa.string())))
    table = pa.concat_tables(parts) if parts else drop_columns(CROPS, "person_id", "split").empty_table()
    for name in ("person_id", "split"):
        column = [rows[clip_id][name] for clip_id in table["clip_id"].to_pylist()]
        table = table.append_column(name, pa.array(column, pa.string()))
    return table.select(CROPS.names).cast(CROPS).sort_by("crop_id")


def _count_outcomes(table: pa.Table, videos: int, clips: int) -> dict[str, Any]:
    """Count rows and frames by outcome, and compute the fraction of cropped frames with a detected face."""
    rows: Counter[str] = Counter()
    frames: Counter[str] = Counter()
    for row in table.select(["status", "reason", "first_frame", "last_frame"]).to_pylist():
        outcome = row["status"] if row["status"] == Status.OK else row["reason"]
        rows[outcome] += 1
        frames[outcome] += row["last_frame"] - row["first_frame"] + 1
    seen = pc.list_flatten(table["seen"])
    return {
        "videos": videos,
        "clips": clips,
        "sequences": dict(sorted(rows.items())),
        "frames": dict(sorted(frames.items())),
        "viola_jones_found": round(pc.mean(seen).as_py() or 0.0, 4),
    }
