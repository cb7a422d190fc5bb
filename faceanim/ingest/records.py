"""Record of a video from the index to its crops, and the fragment that stores its outcome.

A fragment is a one-row Parquet file beside the video. It carries a key derived from everything that the video
file depends on, so the next run can check whether the outcome is still valid. A failure whose fragment is
deleted is fetched again.
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
"""Version of the fetched files; increment it when the same address would give a different file."""

FRAGMENT_SCHEMA = drop_columns(DOWNLOAD, "clip_id")
"""Schema of a fragment, which describes a video that many clips may share."""

_PENDING_REASONS = frozenset({Reason.BOT_CHECK, Reason.RATE_LIMITED, Reason.NOT_TRIED})


@dataclass(frozen=True)
class VideoRecord:
    """Video with the outcome of fetching it so far.

    Attributes:
        video_id: id of the video, safe as a file name.
        url: address of the video; without a scheme, a path on this machine.
        key: SHA-256 of everything that the file depends on (`video_key`); empty if the record was read from
            the tables, which do not store it.
        status: `ok` or `failed`.
        reason: reason of the failure; `not_tried` until a fetch has been attempted.
        path: name of the file in the videos folder.
        bytes: size of the file.
        sha256: SHA-256 of the file.
        width: width of a displayed frame, in pixels.
        height: height of a displayed frame, in pixels.
        fps: mean frame rate, in frames per second.
        seconds: duration.
        attempts: number of fetches attempted so far.
        is_transient: whether the failure may be temporary, so that the next run retries.
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
        """Return whether the address is a path."""
        return "://" not in self.url

    @property
    def is_ok(self) -> bool:
        """Return whether the video is on disk and verified."""
        return self.status == Status.OK

    @property
    def is_pending(self) -> bool:
        """Return whether this run still has to fetch the video."""
        return self.reason in _PENDING_REASONS

    @property
    def partial_name(self) -> str:
        """Prefix of its partial files; it includes the key, so that another version does not resume them."""
        return f"{self.video_id}.{self.key[:12]}"

    def fragment(self, videos: Path) -> Path:
        """Return the path of the fragment in the videos folder."""
        return videos / f"{self.video_id}.parquet"

    def as_failed(self, reason: Reason, is_transient: bool, attempts: int) -> "VideoRecord":
        """Return the record of a failure after `attempts` fetches."""
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
    """Hash the inputs of a video file: the content of a local file, else the address and `max_height`."""
    if "://" in url:
        return content_key(VERSION, url, max_height)
    path = Path(url)
    return content_key(VERSION, file_sha256(path) if path.is_file() else None)


def list_videos(rows: Iterable[Row], max_height: int) -> list[VideoRecord]:
    """List the distinct videos of index rows, sorted by id, as records not tried yet."""
    urls = {row["video_id"]: row["url"] for row in rows}
    return [VideoRecord(name, urls[name], video_key(urls[name], max_height)) for name in sorted(urls)]


def read_fragment(video: VideoRecord, videos: Path) -> VideoRecord | None:
    """Read the outcome of an earlier run; None if its key differs or its file is missing or incomplete."""
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
    """Write the outcome of a video; a transient failure gets `RETRY_KEY`, so that the next run retries."""
    key = RETRY_KEY if video.is_transient else video.key
    write_fragment([video.to_row()], FRAGMENT_SCHEMA, video.fragment(videos), key)


def _from_row(video: VideoRecord, row: dict[str, Any]) -> VideoRecord:
    """Return a copy of the record with the values of a row of DOWNLOAD or of a fragment."""
    values = row | {"status": Status(row["status"]), "reason": Reason(row["reason"]), "is_transient": False}
    names = {field.name for field in fields(VideoRecord)}
    return replace(video, **{name: value for name, value in values.items() if name in names})


def read_fetched(index: Path, download: Path) -> list[tuple[VideoRecord, list[Row]]]:
    """Read the fetched videos, each with its clips.

    Args:
        index: index.parquet.
        download: download.parquet.

    Returns:
        Pairs sorted by video id: the record, with `path` relative to the project, and the INDEX rows of its
        clips, sorted by clip id.
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


class FailureGroup(NamedTuple):
    """Videos that failed for the same reason.

    Attributes:
        reason: value of `Reason`.
        is_transient: whether the next run retries them automatically.
        fragments: path of the fragment of each video.
    """

    reason: str
    is_transient: bool
    fragments: list[Path]


def list_failures(videos: Path) -> list[FailureGroup]:
    """List the failed videos of a folder by reason.

    Raises:
        FaceanimError: the folder does not exist, or its fragments have another schema.
    """
    if not videos.is_dir():
        raise FaceanimError(f"folder {videos} does not exist; `dvc repro download` creates it")
    groups: dict[tuple[str, bool], list[Path]] = defaultdict(list)
    for fragment in sorted(videos.glob("*.parquet")):
        (row,) = read_rows(fragment, FRAGMENT_SCHEMA)
        if row["status"] == Status.FAILED:
            is_transient = read_metadata(fragment).get("key") == RETRY_KEY
            groups[row["reason"], is_transient].append(fragment)
    return [FailureGroup(*kind, fragments) for kind, fragments in sorted(groups.items())]


def forget_failures(videos: Path, reasons: Iterable[str]) -> int:
    """Delete the fragments of failures with these reasons, so that the next run fetches the videos again.

    Returns:
        Number of deleted fragments.

    Raises:
        FaceanimError: a reason is unknown, or `list_failures` fails.
    """
    chosen = set(reasons)
    if unknown := sorted(chosen - {str(reason) for reason in Reason}):
        raise FaceanimError(f"unknown reason {unknown[0]!r}; `faceanim retry` lists the recorded reasons")
    fragments = [
        path for group in list_failures(videos) if group.reason in chosen for path in group.fragments
    ]
    for fragment in fragments:
        fragment.unlink()
    return len(fragments)
