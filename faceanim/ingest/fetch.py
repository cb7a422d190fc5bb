"""One video: copied or fetched, verified, and recorded in a fragment before it takes its final name."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from faceanim.config import DownloadConfig
from faceanim.incremental import RETRY_KEY, drop_columns, write_fragment
from faceanim.ingest.rate_limit import RateLimiter, backoff_delay
from faceanim.ingest.ytdlp import Fetched, Refusal
from faceanim.media.integrity import verify_video
from faceanim.media.video import MediaError, VideoInfo
from faceanim.schemas import DOWNLOAD, Reason, Status
from faceanim.tables import Row, content_key, file_sha256

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m4v"})

VERSION = "2"
"""Raise it when the same address would give another file than before."""

PARTIAL_FOLDER = ".partial"
"""Folder below that of the videos: what is not verified yet."""

FRAGMENT_SCHEMA = drop_columns(DOWNLOAD, "clip_id")
"""A fragment is about a video, which many clips may share."""

_SITE_SAYS_STOP = frozenset({Reason.BOT_CHECK, Reason.RATE_LIMITED})
_WAITING = _SITE_SAYS_STOP | {Reason.NOT_TRIED}
_EMPTY: Row = dict.fromkeys(FRAGMENT_SCHEMA.names)


@dataclass(frozen=True)
class Video:
    """A video to get; an address without a scheme is a path of this machine.

    Attributes:
        video_id: safe as a file name.
        url: where it is.
        key: of all that its file depends on.
        attempts: how often this run has tried before.
    """

    video_id: str
    url: str
    key: str
    attempts: int = 0

    @property
    def is_local(self) -> bool:
        """Whether the address is a path."""
        return "://" not in self.url

    @property
    def partial_name(self) -> str:
        """Begins the names of its unfinished files; another version of it must not continue them."""
        return f"{self.video_id}.{self.key[:12]}"

    def fragment(self, videos: Path) -> Path:
        """The file of its outcome."""
        return videos / f"{self.video_id}.parquet"


class Outcome(NamedTuple):
    """What became of a video, and whether that may pass, so that the next run tries again."""

    video_id: str
    row: Row
    is_transient: bool

    @property
    def waits(self) -> bool:
        """Whether this run is not done with it."""
        return self.row["reason"] in _WAITING


class _Whole(NamedTuple):
    """A verified file that has not got its final name yet."""

    path: Path
    info: VideoInfo


def video_key(url: str, max_height: int) -> str:
    """What a video's file depends on: the content of a local one, else address and format asked for."""
    if "://" in url:
        return content_key(VERSION, url, max_height)
    path = Path(url)
    return content_key(VERSION, file_sha256(path) if path.is_file() else None)


def cached_outcome(video: Video, videos: Path) -> Outcome | None:
    """The outcome that was recorded before, if it is of this version and its file is there."""
    try:
        table = pq.ParquetFile(video.fragment(videos)).read()
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
    if (
        not table.schema.equals(FRAGMENT_SCHEMA)
        or (table.schema.metadata or {}).get(b"key") != video.key.encode()
    ):
        return None
    row: Row = table.to_pylist()[0]
    if row["path"] is not None:
        file = videos / row["path"]
        if not file.is_file() or file.stat().st_size != row["bytes"]:
            return None
    return Outcome(video.video_id, row, False)


def fetch_video(video: Video, config: DownloadConfig, videos: Path, throttle: RateLimiter) -> Outcome:
    """Get one video into `videos`, with its fragment, unless it is there; a failure is an outcome too.

    There is no fragment of a video that waits until the site has had its rest.

    Raises:
        FaceanimError: the disk is full or cannot be written.
    """
    if (before := cached_outcome(video, videos)) is not None:
        return before
    folder = videos / PARTIAL_FOLDER
    folder.mkdir(exist_ok=True)
    if video.is_local:
        return _record(video, _verified(_copy(video, folder)), 1, videos)
    got, tries = _fetch(video, config, folder, throttle)
    attempts = video.attempts + tries
    if isinstance(got, Refusal) and got.reason in _WAITING:
        return Outcome(video.video_id, _failure(got.reason, attempts), True)
    return _record(video, got, attempts, videos)


def failed_outcome(video: Video, reason: Reason, videos: Path) -> Outcome:
    """The outcome of a video whose worker crashed or hung."""
    return _record(video, Refusal(reason, True), video.attempts + 1, videos)


def pending_outcome(video: Video) -> Outcome:
    """The outcome of a video that the run did not come to."""
    return Outcome(video.video_id, _failure(Reason.NOT_TRIED, video.attempts), True)


def _copy(video: Video, folder: Path) -> Fetched | Refusal:
    source = Path(video.url)
    if not source.is_file():
        return Refusal(Reason.NOT_FOUND, False)
    suffix = source.suffix.lower()
    if suffix not in VIDEO_SUFFIXES:
        return Refusal(Reason.INVALID_MEDIA, False)
    return Fetched(Path(shutil.copyfile(source, folder / f"{video.partial_name}{suffix}")), None)


def _fetch(
    video: Video, config: DownloadConfig, folder: Path, throttle: RateLimiter
) -> tuple[_Whole | Refusal, int]:
    """Try until it is there, is hopeless, must wait, or the retries are used up; and say how often."""
    from faceanim.ingest.ytdlp import download_url  # yt-dlp takes a second to import

    for attempt in range(1, config.retries + 2):
        with throttle.slot() as may_fetch:
            if not may_fetch:
                return Refusal(Reason.NOT_TRIED, True), attempt - 1
            got = _verified(
                download_url(video.url, video.partial_name, folder, config.max_height, config.stall_s)
            )
        if not isinstance(got, Refusal):
            break
        if got.reason in _SITE_SAYS_STOP:
            asked_s = config.cooldown_s if got.retry_after_s is None else got.retry_after_s
            throttle.request_cooldown(min(asked_s, config.cooldown_s))
            break
        if not got.worth_a_retry or attempt > config.retries:
            break
        time.sleep(backoff_delay(attempt, config.backoff_s, got.retry_after_s))
    return got, attempt


def _verified(got: Fetched | Refusal) -> _Whole | Refusal:
    """The file if it is a whole video; one that is none goes, lest it be continued."""
    if isinstance(got, Refusal):
        return got
    try:
        return _Whole(got.path, verify_video(got.path, got.seconds))
    except MediaError as error:
        got.path.unlink()
        return Refusal(error.reason, False)


def _record(video: Video, got: _Whole | Refusal, attempts: int, videos: Path) -> Outcome:
    """Write the fragment, then let the file take its name: a fragment counts only if its file is there."""
    fragment = video.fragment(videos)
    if fragment.exists():  # of another version: nothing of it may stay
        for path in videos.glob(f"{video.video_id}.*"):
            path.unlink()
    if isinstance(got, Refusal):
        outcome = Outcome(video.video_id, _failure(got.reason, attempts), got.is_transient)
        write_fragment([outcome.row], FRAGMENT_SCHEMA, fragment, RETRY_KEY if got.is_transient else video.key)
        return outcome
    row = _facts(got, f"{video.video_id}{got.path.suffix}", attempts)
    write_fragment([row], FRAGMENT_SCHEMA, fragment, video.key)
    got.path.replace(videos / row["path"])
    return Outcome(video.video_id, row, False)


def _failure(reason: Reason, attempts: int) -> Row:
    return _EMPTY | {"status": Status.FAILED, "reason": reason, "attempts": attempts}


def _facts(whole: _Whole, name: str, attempts: int) -> Row:
    """What the table says of a good file."""
    return {
        "status": Status.OK,
        "reason": Reason.NONE,
        "path": name,
        "bytes": whole.path.stat().st_size,
        "sha256": file_sha256(whole.path),
        "width": whole.info.width,
        "height": whole.info.height,
        "fps": float(whole.info.fps),
        "seconds": whole.info.seconds,
        "attempts": attempts,
    }
