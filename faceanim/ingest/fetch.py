"""Copy or download one video, verify it, and record the outcome before the file takes its final name."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

from faceanim.config import DownloadConfig
from faceanim.ingest.folders import VIDEO_SUFFIXES
from faceanim.ingest.rate_limit import RateLimiter, backoff_delay
from faceanim.ingest.records import VideoRecord, read_fragment, save_fragment
from faceanim.ingest.ytdlp import FetchedFile, FetchError, download_url
from faceanim.media.integrity import verify_video
from faceanim.media.video import MediaError, VideoInfo
from faceanim.schemas import Reason, Status
from faceanim.tables import file_sha256

PARTIAL_FOLDER = ".partial"
"""Name of the folder inside the videos folder that holds files not verified yet."""


def fetch_video(
    video: VideoRecord, config: DownloadConfig, videos: Path, limiter: RateLimiter
) -> VideoRecord:
    """Fetch a video into `videos` unless it is already there, and record the outcome, success or failure.

    No fragment is written for a video that must wait for the end of a cooldown.

    Raises:
        FaceanimError: the disk is full or cannot be written.
    """
    if (cached := read_fragment(video, videos)) is not None:
        return cached
    folder = videos / PARTIAL_FOLDER
    folder.mkdir(exist_ok=True)
    max_attempts = 1 if video.is_local else config.retries + 1
    for attempt in range(1, max_attempts + 1):
        try:
            file = _copy(video, folder) if video.is_local else _download(video, config, folder, limiter)
            info = _verify(file)
        except FetchError as error:
            if error.is_worth_retrying and attempt < max_attempts:
                time.sleep(backoff_delay(attempt, config.backoff_s, error.retry_after_s))
                continue
            return _record_failure(video, error, attempt, videos)
        break
    return _finalize(video, file.path, info, video.attempts + attempt, videos)


def record_crash(video: VideoRecord, reason: Reason, videos: Path) -> VideoRecord:
    """Record the failure of a video whose worker crashed or hung; the next run retries it."""
    return _record(video.as_failed(reason, True, video.attempts + 1), videos)


def _copy(video: VideoRecord, folder: Path) -> FetchedFile:
    source = Path(video.url)
    if not source.is_file():
        raise FetchError(Reason.NOT_FOUND)
    suffix = source.suffix.lower()
    if suffix not in VIDEO_SUFFIXES:
        raise FetchError(Reason.INVALID_MEDIA)
    return FetchedFile(Path(shutil.copyfile(source, folder / f"{video.partial_name}{suffix}")), None)


def _download(video: VideoRecord, config: DownloadConfig, folder: Path, limiter: RateLimiter) -> FetchedFile:
    """Download once within the rate limits, and request a cooldown of all workers if the site refuses."""
    with limiter.slot() as may_fetch:
        if not may_fetch:
            raise FetchError(Reason.NOT_TRIED, is_transient=True)
        try:
            return download_url(video.url, video.partial_name, folder, config.max_height, config.stall_s)
        except FetchError as error:
            if error.stops_the_run:
                requested_s = config.cooldown_s if error.retry_after_s is None else error.retry_after_s
                limiter.request_cooldown(min(requested_s, config.cooldown_s))
            raise


def _verify(file: FetchedFile) -> VideoInfo:
    """Check that a file is a complete video; otherwise remove it, so that no later attempt resumes it."""
    try:
        return verify_video(file.path, file.seconds)
    except MediaError as error:
        file.path.unlink()
        raise FetchError(error.reason) from None


def _record_failure(video: VideoRecord, error: FetchError, attempt: int, videos: Path) -> VideoRecord:
    attempts = attempt - 1 if error.reason is Reason.NOT_TRIED else attempt
    failed = video.as_failed(error.reason, error.is_transient, video.attempts + attempts)
    return failed if failed.is_pending else _record(failed, videos)


def _finalize(video: VideoRecord, file: Path, info: VideoInfo, attempts: int, videos: Path) -> VideoRecord:
    """Record a verified file, then move it to its final name; a fragment without its file is ignored."""
    name = f"{video.video_id}{file.suffix}"
    verified = replace(
        video,
        status=Status.OK,
        reason=Reason.NONE,
        path=name,
        bytes=file.stat().st_size,
        sha256=file_sha256(file),
        width=info.width,
        height=info.height,
        fps=float(info.fps),
        seconds=info.seconds,
        attempts=attempts,
        is_transient=False,
    )
    _record(verified, videos)
    file.replace(videos / name)
    return verified


def _record(video: VideoRecord, videos: Path) -> VideoRecord:
    """Remove the files of any earlier version of a video and write its fragment."""
    if video.fragment(videos).exists():
        for path in videos.glob(f"{video.video_id}.*"):
            path.unlink()
    save_fragment(video, videos)
    return video
