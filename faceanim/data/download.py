"""Stage 2: one fetch a video, checked before it counts; every clip ends in download.parquet with a reason."""

import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from faceanim.config import DownloadConfig, RunConfig
from faceanim.data.items import (
    NOT_KEPT,
    OnProgress,
    content_key,
    file_sha256,
    is_current,
    prune,
    without,
    work_through,
    write_fragment,
)
from faceanim.data.video import MediaError, probe
from faceanim.schemas import DOWNLOAD, INDEX, Reason, Status
from faceanim.shards import MapShards, Work
from faceanim.tables import Row, read_rows, write_table

VERSION = "1"
"""Raise it when the same address would give another file than before."""

LONGEST_PAUSE_S = 60
_SCHEMA = without(DOWNLOAD, "clip_id")  # a fragment is about a video, which many clips may share
_TRY_LATER = frozenset({Reason.NETWORK, Reason.CRASHED, Reason.TIMED_OUT})


@dataclass(frozen=True)
class Video:
    """A video to fetch; an address without a scheme is a path of this machine."""

    video_id: str
    url: str
    key: str

    @property
    def is_local(self) -> bool:
        """Whether the address is a path."""
        return "://" not in self.url


def download(
    config: DownloadConfig,
    run: RunConfig,
    index: Path,
    videos: Path,
    out: Path,
    map_shards: MapShards,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Fetch the videos that changed, drop those that are gone, write download.parquet and return its counts.

    Args:
        config: formats and retries.
        run: how the work is spread.
        index: index.parquet.
        videos: folder of the videos, `<video_id>.<ext>`, each with a fragment `<video_id>.parquet`.
        out: download.parquet.
        map_shards: runs the work.
        on_progress: told of the videos done, and of all.
    """
    rows = read_rows(index, INDEX)
    urls = {row["video_id"]: row["url"] for row in rows}
    wanted = [Video(video_id, urls[video_id], _key(urls[video_id], config)) for video_id in sorted(urls)]
    videos.mkdir(parents=True, exist_ok=True)
    stale = [video for video in wanted if not is_current(_fragment(videos, video), video.key)]
    work = Work(
        "download",
        partial(_fetch, config=config, folder=videos),
        partial(_give_up, folder=videos),
        run.item_timeout_s,
    )
    work_through(work, stale, len(wanted), run, map_shards, on_progress)
    outcomes = {video.video_id: read_rows(_fragment(videos, video), _SCHEMA)[0] for video in wanted}
    files = {outcome["path"] for outcome in outcomes.values() if outcome["path"]}
    prune(videos, files | {_fragment(videos, video).name for video in wanted})
    table = [_table_row(row["clip_id"], outcomes[row["video_id"]], videos) for row in rows]
    table.sort(key=lambda row: str(row["clip_id"]))
    write_table(table, DOWNLOAD, out)
    return _metrics(outcomes, table)


def _key(url: str, config: DownloadConfig) -> str:
    """What a fetch depends on: the content of a local file, else the address and the format asked for."""
    if "://" in url:
        return content_key(VERSION, url, config.max_height)
    path = Path(url)
    return content_key(VERSION, file_sha256(path) if path.is_file() else None)


def _fragment(folder: Path, video: Video) -> Path:
    return folder / f"{video.video_id}.parquet"


def _table_row(clip_id: str, outcome: Row, videos: Path) -> Row:
    path = None if outcome["path"] is None else (videos / outcome["path"]).as_posix()
    return outcome | {"clip_id": clip_id, "path": path}


def _metrics(outcomes: dict[str, Row], table: list[Row]) -> dict[str, Any]:
    """Counts of videos by outcome, and of the clips whose video is there."""
    by_outcome = Counter(
        str(row["status"] if row["status"] == Status.OK else row["reason"]) for row in outcomes.values()
    )
    return {
        "videos": dict(sorted(by_outcome.items())),
        "clips_ok": sum(row["status"] == Status.OK for row in table),
        "clips": len(table),
        "bytes": sum(row["bytes"] or 0 for row in outcomes.values()),
        "seconds": round(sum(row["seconds"] or 0.0 for row in outcomes.values()), 3),
    }


def _fetch(video: Video, config: DownloadConfig, folder: Path) -> None:
    """Fetch one video, check it and write its fragment last."""
    if _fragment(folder, video).exists():  # of another version: nothing of it may stay
        _remove(video, folder)
    attempts, path, reason = _attempts(video, config, folder)
    row: Row = {"status": Status.FAILED, "reason": reason, "attempts": attempts}
    if path is not None:
        try:
            row |= _facts(path)
        except MediaError as error:
            path.unlink()
            row["reason"] = error.reason
    key = NOT_KEPT if row["reason"] in _TRY_LATER else video.key
    write_fragment([row], _SCHEMA, _fragment(folder, video), key)


def _attempts(video: Video, config: DownloadConfig, folder: Path) -> tuple[int, Path | None, Reason]:
    """Try until it is there, is hopeless, or `config.retries` are used up; pauses double from one second."""
    from faceanim.data.fetch import fetch

    for attempt in range(config.retries + 1):
        path, reason, is_passing = fetch(video.url, video.video_id, folder, config.max_height)
        if not is_passing or attempt == config.retries:
            break
        time.sleep(min(2**attempt, LONGEST_PAUSE_S))
    return attempt + 1, path, reason


def _facts(path: Path) -> Row:
    """What the table says of a good file."""
    info = probe(path)
    return {
        "status": Status.OK,
        "reason": Reason.NONE,
        "path": path.name,
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
        "width": info.width,
        "height": info.height,
        "fps": float(info.fps),
        "seconds": info.seconds,
    }


def _remove(video: Video, folder: Path) -> None:
    for path in folder.glob(f"{video.video_id}.*"):
        path.unlink()


def _give_up(video: Video, reason: Reason, folder: Path) -> None:
    """The outcome of a video whose worker crashed or hung; the next run tries it again."""
    _remove(video, folder)
    row = {"status": Status.FAILED, "reason": reason, "attempts": 1}
    write_fragment([row], _SCHEMA, _fragment(folder, video), NOT_KEPT)
