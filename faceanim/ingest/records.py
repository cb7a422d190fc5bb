"""One record of a video, from the index to its crops, and the fragment that keeps its outcome.

A fragment is a one-row Parquet file beside the video. It carries the key of everything that the video file
depends on, so the next run can tell whether the outcome still holds.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from faceanim.errors import FaceanimError
from faceanim.incremental import RETRY_KEY, drop_columns, read_metadata, write_fragment
from faceanim.schemas import DOWNLOAD, INDEX, Reason, Status
from faceanim.tables import Row, content_key, file_sha256, read_rows

VERSION = "2"
"""Raise when the same address would give a different file than before."""

FRAGMENT_SCHEMA = drop_columns(DOWNLOAD, "clip_id")
"""A fragment describes a video, which many clips may share."""

_PENDING_REASONS = frozenset({Reason.BOT_CHECK, Reason.RATE_LIMITED, Reason.NOT_TRIED})


@dataclass(frozen=True)
class VideoRecord:
    """A video, and what has become of it so far.

    Attributes:
        video_id: safe as a file name.
        url: address of the video; without a scheme it is a path on this machine.
        key: SHA-256 of everything that the file depends on, see `video_key`; empty where the record was
            read from the tables, which do not have it.
        status: `ok` or `failed`.
        reason: why it failed; `not_tried` until a fetch has been attempted.
        path: name of the file in the videos folder.
        bytes: size of the file.
        sha256: of the file.
        width: of a frame as shown, in pixels.
        height: likewise.
        fps: mean frame rate.
        seconds: duration.
        attempts: fetches attempted so far.
        is_transient: whether the failure may pass, so that the next run tries again.
    """

    video_id: str
    url: str
    key: str
    status: Status = Status.FAILED
    reason: Reason = Reason.NOT_TRIED
    path: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    seconds: float | None = None
    attempts: int = 0
    is_transient: bool = True

    @property
    def is_local(self) -> bool:
        """Whether the address is a path."""
        return "://" not in self.url

    @property
    def is_ok(self) -> bool:
        """Whether the video is on disk and verified."""
        return self.status == Status.OK

    @property
    def is_pending(self) -> bool:
        """Whether this run still has to deal with the video."""
        return self.reason in _PENDING_REASONS

    @property
    def partial_name(self) -> str:
        """Prefix of its unfinished files; another version of the video must not continue them."""
        return f"{self.video_id}.{self.key[:12]}"

    def fragment(self, videos: Path) -> Path:
        """Path of the fragment in the videos folder."""
        return videos / f"{self.video_id}.parquet"

    def failed(self, reason: Reason, is_transient: bool, attempts: int) -> "VideoRecord":
        """Record a failure after that many attempts."""
        return VideoRecord(
            self.video_id,
            self.url,
            self.key,
            Status.FAILED,
            reason,
            attempts=attempts,
            is_transient=is_transient,
        )

    def to_row(self) -> Row:
        """Convert to a row of `FRAGMENT_SCHEMA`."""
        return {name: getattr(self, name) for name in FRAGMENT_SCHEMA.names}


def video_key(url: str, max_height: int) -> str:
    """Hash what a video file depends on: the content of a local one, else the address and the format."""
    if "://" in url:
        return content_key(VERSION, url, max_height)
    path = Path(url)
    return content_key(VERSION, file_sha256(path) if path.is_file() else None)


def list_videos(rows: Iterable[Row], max_height: int) -> list[VideoRecord]:
    """List the distinct videos of index rows by id, none of them tried yet."""
    urls = {row["video_id"]: row["url"] for row in rows}
    return [VideoRecord(name, urls[name], video_key(urls[name], max_height)) for name in sorted(urls)]


def read_fragment(video: VideoRecord, videos: Path) -> VideoRecord | None:
    """Read the outcome of an earlier run; None unless it is of this version and its file is there, whole."""
    try:
        table = pq.ParquetFile(video.fragment(videos)).read()
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
    if (
        not table.schema.equals(FRAGMENT_SCHEMA)
        or (table.schema.metadata or {}).get(b"key") != video.key.encode()
    ):
        return None
    record = _from_row(video, table.to_pylist()[0])
    if record.path is not None:
        file = videos / record.path
        if not file.is_file() or file.stat().st_size != record.bytes:
            return None
    return record


def save_fragment(video: VideoRecord, videos: Path) -> None:
    """Write the outcome of a video; one that may pass is written so that the next run tries again."""
    key = RETRY_KEY if video.is_transient else video.key
    write_fragment([video.to_row()], FRAGMENT_SCHEMA, video.fragment(videos), key)


def _from_row(video: VideoRecord, row: dict[str, Any]) -> VideoRecord:
    """Take over what a row of DOWNLOAD or of a fragment says of a video."""
    values = row | {"status": Status(row["status"]), "reason": Reason(row["reason"]), "is_transient": False}
    names = {field.name for field in fields(VideoRecord)}
    return replace(video, **{name: value for name, value in values.items() if name in names})


def read_fetched(index: Path, download: Path) -> list[tuple[VideoRecord, list[Row]]]:
    """Read the videos that were fetched, each with its clips.

    Args:
        index: index.parquet.
        download: download.parquet.

    Returns:
        Records by video id, `path` relative to the project, and the rows of INDEX by clip id.
    """
    fetched = {row["clip_id"]: row for row in read_rows(download, DOWNLOAD) if row["status"] == Status.OK}
    clips: dict[str, list[Row]] = defaultdict(list)
    for clip in sorted(read_rows(index, INDEX), key=itemgetter("clip_id")):
        if clip["clip_id"] in fetched:
            clips[clip["video_id"]].append(clip)
    return [
        (_from_row(VideoRecord(video_id, rows[0]["url"], ""), fetched[rows[0]["clip_id"]]), rows)
        for video_id, rows in sorted(clips.items())
    ]


class Failures(NamedTuple):
    """Videos that failed for one reason.

    Attributes:
        reason: from the closed list.
        is_transient: whether the next run tries them again by itself.
        fragments: one for each video.
    """

    reason: str
    is_transient: bool
    fragments: list[Path]


def list_failures(videos: Path) -> list[Failures]:
    """List the failed videos of a folder by reason.

    Raises:
        FaceanimError: there is no such folder, or its fragments are of another version.
    """
    if not videos.is_dir():
        raise FaceanimError(f"there is no folder {videos}; `dvc repro download` creates it")
    found: dict[tuple[str, bool], list[Path]] = defaultdict(list)
    for fragment in sorted(videos.glob("*.parquet")):
        (row,) = read_rows(fragment, FRAGMENT_SCHEMA)
        if row["status"] == Status.FAILED:
            is_transient = read_metadata(fragment).get("key") == RETRY_KEY
            found[row["reason"], is_transient].append(fragment)
    return [Failures(*kind, fragments) for kind, fragments in sorted(found.items())]


def forget_failures(videos: Path, reasons: Iterable[str]) -> int:
    """Delete the fragments of failures with these reasons, so that the next run tries the videos again.

    Returns:
        How many there were.

    Raises:
        FaceanimError: an unknown reason, or as for `list_failures`.
    """
    chosen = set(reasons)
    if unknown := sorted(chosen - {str(reason) for reason in Reason}):
        raise FaceanimError(
            f"unknown reason {unknown[0]!r}; `faceanim retry` lists the reasons that occurred"
        )
    fragments = [
        path for found in list_failures(videos) if found.reason in chosen for path in found.fragments
    ]
    for fragment in fragments:
        fragment.unlink()
    return len(fragments)
