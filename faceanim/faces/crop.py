"""Stage 3: the paper's section 4: follow the face, cut it out with one box a sequence, and resize."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2

from faceanim.config import CropConfig, RunConfig
from faceanim.data.clips import write_clip
from faceanim.data.ids import join_ids
from faceanim.data.items import (
    NOT_KEPT,
    OnProgress,
    content_key,
    is_current,
    prune,
    read_metadata,
    without,
    work_through,
    write_fragment,
)
from faceanim.data.video import MediaError, VideoInfo, frame_range, probe, read_frames
from faceanim.faces.boxes import Box
from faceanim.faces.framing import crop_box, cut_out
from faceanim.faces.track import Stretch, track
from faceanim.schemas import CROPS, DOWNLOAD, INDEX, Reason, Status
from faceanim.shards import MapShards, Work
from faceanim.tables import Row, read_rows, write_table

VERSION = "1"
"""Raise it when the same input would give other crops than before."""

FRAGMENT = "rows.parquet"
_SCHEMA = without(CROPS, "person_id", "split")  # who is held out may change without a new crop


@dataclass(frozen=True)
class Clip:
    """A clip to crop: its video, the stretch of it, the face meant (in pixels of `box_size` frames)."""

    clip_id: str
    video: Path
    start_s: float
    end_s: float | None
    box: Box | None
    box_size: tuple[int, int] | None
    key: str


def crop(
    config: CropConfig,
    run: RunConfig,
    index: Path,
    download: Path,
    crops: Path,
    out: Path,
    map_shards: MapShards,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Crop the clips that changed, drop those that are gone, write crops.parquet and return its counts.

    Args:
        config: sizes, lengths and thresholds.
        run: how the work is spread.
        index: index.parquet.
        download: download.parquet.
        crops: folder of the crop files, one folder a clip.
        out: crops.parquet.
        map_shards: runs the work.
        on_progress: told of the clips done, and of all.
    """
    fetched = {row["clip_id"]: row for row in read_rows(download, DOWNLOAD) if row["status"] == Status.OK}
    rows = {row["clip_id"]: row for row in read_rows(index, INDEX) if row["clip_id"] in fetched}
    clips = [_clip(rows[clip_id], fetched[clip_id], config) for clip_id in sorted(rows)]
    crops.mkdir(parents=True, exist_ok=True)
    stale = [clip for clip in clips if not is_current(crops / clip.clip_id / FRAGMENT, clip.key)]
    do = partial(_crop_clip, config=config, folder=crops)
    work = Work("crop", do, partial(_give_up, folder=crops), run.item_timeout_s)
    work_through(work, stale, len(clips), run, map_shards, on_progress)
    prune(crops, set(rows))
    table = [
        _table_row(row, about, crops)
        for clip_id, about in rows.items()
        for row in read_rows(crops / clip_id / FRAGMENT, _SCHEMA)
    ]
    table.sort(key=lambda row: str(row["crop_id"]))
    write_table(table, CROPS, out)
    found = sum(int(read_metadata(crops / clip_id / FRAGMENT).get("found", 0)) for clip_id in rows)
    return _metrics(table, len(clips), found)


def _clip(about: Row, fetched: Row, config: CropConfig) -> Clip:
    box = Box(*about["box"]) if about["box"] is not None else None
    size = (about["box_width"], about["box_height"]) if box is not None else None
    stretch = (about["start_s"], about["end_s"])
    key = content_key(VERSION, fetched["sha256"], *stretch, box, size, config.model_dump(mode="json"))
    return Clip(about["clip_id"], Path(fetched["path"]), *stretch, box, size, key)


def _table_row(row: Row, about: Row, crops: Path) -> Row:
    path = None if row["path"] is None else (crops / about["clip_id"] / row["path"]).as_posix()
    return row | {"person_id": about["person_id"], "split": about["split"], "path": path}


def _metrics(table: Sequence[Row], clips: int, found: int) -> dict[str, Any]:
    """Counts of rows and of frames by outcome, and the share of followed frames where Viola-Jones saw it."""
    rows: Counter[str] = Counter()
    frames: Counter[str] = Counter()
    for row in table:
        outcome = row["status"] if row["status"] == Status.OK else row["reason"]
        rows[outcome] += 1
        frames[outcome] += row["last_frame"] - row["first_frame"] + 1
    followed = sum(row["last_frame"] - row["first_frame"] + 1 for row in table if row["end_reason"])
    rate = found / followed if followed else 0.0
    return {
        "clips": clips,
        "sequences": dict(sorted(rows.items())),
        "frames": dict(sorted(frames.items())),
        "viola_jones_found": round(rate, 4),
    }


def _crop_clip(clip: Clip, config: CropConfig, folder: Path) -> None:
    """Crop one clip into a folder of its own; its rows are written last."""
    cv2.setNumThreads(1)  # this is a worker process; the others have the other cores
    target = folder / clip.clip_id
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    found = 0
    try:
        info = probe(clip.video)
        first, _ = frame_range(info, clip.start_s, clip.end_s)
        frames = read_frames(clip.video, config.decoder, clip.start_s, clip.end_s)
        stretches = list(track(frames, config, _hint(clip, info)))
        if not stretches:
            raise MediaError(Reason.INVALID_MEDIA, f"{clip.video} has no frames there")
        found = sum(stretch.found for stretch in stretches)
        rows = list(_write_crops(clip, config, info, stretches, first, target))
    except MediaError as error:
        rows = [_failed(clip, error.reason)]
    write_fragment(rows, _SCHEMA, target / FRAGMENT, clip.key, {"found": str(found)})


def _hint(clip: Clip, info: VideoInfo) -> Box | None:
    """The face meant, in pixels of the fetched video: the list's box may refer to another size."""
    if clip.box is None or clip.box_size is None:
        return None
    sx, sy = info.width / clip.box_size[0], info.height / clip.box_size[1]
    return Box(clip.box.x0 * sx, clip.box.y0 * sy, clip.box.x1 * sx, clip.box.y1 * sy)


def _write_crops(
    clip: Clip, config: CropConfig, info: VideoInfo, stretches: Sequence[Stretch], first: int, target: Path
) -> Iterator[Row]:
    """The second pass over the clip: write the accepted sequences, and give a row for every stretch."""
    frames = read_frames(clip.video, config.decoder, clip.start_s, clip.end_s)
    position = 0
    for stretch in stretches:
        row = _row(clip, stretch, first, info)
        if not stretch.boxes:
            yield row | {"status": Status.REJECTED, "reason": Reason.NO_FACE}
            continue
        box = crop_box(stretch.boxes, config.margin, (info.width, info.height))
        row |= {"box": list(box), "end_reason": stretch.end_reason}
        if reason := _rejection(box, stretch, config):
            yield row | {"status": Status.REJECTED, "reason": reason}
            continue
        taken = islice(frames, stretch.first - position, stretch.last + 1 - position)
        position = stretch.last + 1
        name = f"{row['crop_id']}.avi"
        cropped = (cut_out(frame, box, config.size) for frame in taken)
        offsets, lengths = write_clip(target / name, cropped, info.fps, config.jpeg_quality)
        yield row | {"path": name, "frame_offsets": offsets, "frame_lengths": lengths}


def _rejection(box: Box, stretch: Stretch, config: CropConfig) -> Reason | None:
    if len(stretch.boxes) < config.min_frames:
        return Reason.TOO_SHORT
    if box.width < config.min_size:
        return Reason.TOO_SMALL
    return None


def _row(clip: Clip, stretch: Stretch, first: int, info: VideoInfo) -> Row:
    """An accepted row; frames count from the beginning of the source video."""
    return {
        "crop_id": join_ids(clip.clip_id, f"{first + stretch.first:07d}"),
        "clip_id": clip.clip_id,
        "path": None,
        "first_frame": first + stretch.first,
        "last_frame": first + stretch.last,
        "fps": float(info.fps),
        "status": Status.OK,
        "reason": Reason.NONE,
    }


def _failed(clip: Clip, reason: Reason) -> Row:
    """The row of a clip that gave nothing: its range of frames is empty (0 to -1)."""
    return {
        "crop_id": join_ids(clip.clip_id, "failed"),
        "clip_id": clip.clip_id,
        "first_frame": 0,
        "last_frame": -1,
        "fps": 0.0,
        "status": Status.FAILED,
        "reason": reason,
    }


def _give_up(clip: Clip, reason: Reason, folder: Path) -> None:
    """The outcome of a clip whose worker crashed or hung; the next run tries it again."""
    target = folder / clip.clip_id
    shutil.rmtree(target, ignore_errors=True)
    write_fragment([_failed(clip, reason)], _SCHEMA, target / FRAGMENT, NOT_KEPT)
