"""Stage 3: the paper's section 4: follow the face, cut it out with one box a sequence, and resize."""

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
from faceanim.media.boxes import Box
from faceanim.progress import ProgressCallback
from faceanim.schemas import CROPS, DOWNLOAD, INDEX, Reason, Status
from faceanim.tables import Row, content_key, read_rows, write_arrow
from faceanim.workers import MapShards, ShardJob

VERSION = "4"
"""Raise it when the same input would give other crops than before."""

FRAGMENT_NAME = "rows.parquet"
_SCHEMA = drop_columns(
    CROPS, "video_id", "person_id", "split"
)  # who is held out may change without a new crop


@dataclass(frozen=True)
class Video:
    """A fetched video, its clips, and the key of all that its crops depend on."""

    video_id: str
    path: Path
    clips: tuple[ClipTarget, ...]
    key: str


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
    """Crop the videos that changed, drop those that are gone, write crops.parquet and return its counts.

    Args:
        config: sizes, lengths and thresholds.
        run: how the work is spread.
        index: index.parquet.
        download: download.parquet.
        crops: folder of the crop files, one folder a video.
        out: crops.parquet.
        map_shards: runs the work.
        on_progress: told of the videos done, and of all.
    """
    fetched = {row["clip_id"]: row for row in read_rows(download, DOWNLOAD) if row["status"] == Status.OK}
    rows = {row["clip_id"]: row for row in read_rows(index, INDEX) if row["clip_id"] in fetched}
    videos = list(_collect_videos(rows, fetched, config))
    crops.mkdir(parents=True, exist_ok=True)
    stale = [video for video in videos if not is_current(_fragment_path(crops, video.video_id), video.key)]
    do = partial(_crop_one, config=config, folder=crops)
    work = ShardJob("crop", do, partial(_record_failure, folder=crops))
    process_items(work, stale, len(videos), run, map_shards, on_progress)
    prune(crops, {video.video_id for video in videos})
    table = _build_table([video.video_id for video in videos], rows, crops)
    write_arrow(table, out)
    return _count_outcomes(table, len(videos), len(rows))


def _collect_videos(
    rows: Mapping[str, Row], fetched: Mapping[str, Row], config: CropConfig
) -> Iterator[Video]:
    """The fetched videos with their clips, both in order."""
    by_video: dict[str, list[str]] = defaultdict(list)
    for clip_id in sorted(rows):
        by_video[rows[clip_id]["video_id"]].append(clip_id)
    for video_id, clip_ids in sorted(by_video.items()):
        clips = tuple(_make_target(rows[clip_id]) for clip_id in clip_ids)
        file = fetched[clip_ids[0]]
        key = content_key(VERSION, file["sha256"], list(map(asdict, clips)), config.model_dump(mode="json"))
        yield Video(video_id, Path(file["path"]), clips, key)


def _make_target(about: Row) -> ClipTarget:
    box = Box(*about["box"]) if about["box"] is not None else None
    size = (about["box_width"], about["box_height"]) if box is not None else None
    return ClipTarget(about["clip_id"], about["start_s"], about["end_s"], box, size)


def _fragment_path(crops: Path, video_id: str) -> Path:
    return crops / video_id / FRAGMENT_NAME


def _crop_one(video: Video, config: CropConfig, folder: Path) -> bool:
    """Crop one video into a folder of its own, unless that is done; its rows are written last.

    Returns:
        Whether there is a crop.
    """
    cv2.setNumThreads(1)  # this is a worker process; the others have the other cores
    fragment = _fragment_path(folder, video.video_id)
    if is_current(fragment, video.key):
        return Status.OK in pq.read_table(fragment, columns=["status"])["status"].to_pylist()
    target = folder / video.video_id
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    rows = crop_video(video.path, video.clips, config, target)
    write_fragment(rows, _SCHEMA, fragment, video.key)
    return any(row["status"] is Status.OK for row in rows)


def _record_failure(video: Video, reason: Reason, folder: Path) -> bool:
    """The outcome of a video whose worker crashed or hung; the next run tries it again."""
    target = folder / video.video_id
    shutil.rmtree(target, ignore_errors=True)
    rows = [failed_row(clip, reason) for clip in video.clips]
    write_fragment(rows, _SCHEMA, target / FRAGMENT_NAME, RETRY_KEY)
    return False


def _build_table(video_ids: Sequence[str], rows: Mapping[str, Row], crops: Path) -> pa.Table:
    """The rows of all videos, with what the index and the folders add, by crop."""
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
    """Counts of rows and frames by outcome, and the share of the crops' frames in which a face was seen."""
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
