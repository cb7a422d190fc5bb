"""Download of one video with yt-dlp, giving a file or a `FetchError` with a reason.

Errors of yt-dlp are classified by their type if it is specific, else by their text. Importing yt-dlp takes a
second, so it is deferred to the first use.
"""

import errno
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from faceanim.errors import FaceanimError
from faceanim.ingest.credentials import build_access_options
from faceanim.loopback import add_hosts
from faceanim.schemas import Reason

_RETRY_REASONS = frozenset({Reason.NETWORK, Reason.HTTP, Reason.TRUNCATED})
_STOP_REASONS = frozenset({Reason.BOT_CHECK, Reason.RATE_LIMITED})


class FetchedFile(NamedTuple):
    """File that is not verified yet, and its duration in seconds as stated by the site."""

    path: Path
    seconds: float | None


class FetchError(Exception):
    """Failure to fetch a video.

    Attributes:
        reason: reason of the failure.
        is_transient: whether a later run may succeed; otherwise the failure is recorded and not retried.
        retry_after_s: seconds that the site asks to wait before the next request, if it states them.
    """

    def __init__(
        self, reason: Reason, is_transient: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(reason, is_transient, retry_after_s)
        self.reason = reason
        self.is_transient = is_transient
        self.retry_after_s = retry_after_s

    @property
    def is_worth_retrying(self) -> bool:
        """Return whether a retry within a minute may succeed; a truncated file may be complete next time."""
        return self.reason in _RETRY_REASONS and (self.is_transient or self.reason is Reason.TRUNCATED)

    @property
    def stops_the_run(self) -> bool:
        """Return whether the site refuses all requests, not only those for this video."""
        return self.reason in _STOP_REASONS


class Phrase(NamedTuple):
    """Lower-case phrase that identifies the reason of a failure.

    Attributes:
        text: phrase to search for in the error message.
        reason: reason that it identifies.
        source: origin of the phrase: yt-dlp, in whose source code a test looks it up, or YouTube.
        is_transient: see `FetchError`.
    """

    text: str
    reason: Reason
    source: Literal["yt-dlp", "youtube"]
    is_transient: bool = False


PHRASES = (
    # Order matters: a rate limit also calls the video unavailable, and a bot check also says "sign in".
    Phrase("not a bot", Reason.BOT_CHECK, "youtube", is_transient=True),
    Phrase("requiring a captcha challenge", Reason.BOT_CHECK, "yt-dlp", is_transient=True),
    Phrase("your ip is likely being blocked", Reason.BOT_CHECK, "yt-dlp", is_transient=True),
    Phrase("has been rate-limited by youtube", Reason.RATE_LIMITED, "yt-dlp", is_transient=True),
    # Sent to outdated versions of yt-dlp, for every video.
    Phrase("page needs to be reloaded", Reason.EXTRACTOR, "youtube", is_transient=True),
    Phrase("try again later", Reason.UNAVAILABLE, "yt-dlp", is_transient=True),
    Phrase("confirm your age", Reason.AGE_RESTRICTED, "yt-dlp"),
    Phrase("age-restricted", Reason.AGE_RESTRICTED, "yt-dlp"),
    Phrase("private video", Reason.PRIVATE, "yt-dlp"),
    Phrase("video is private", Reason.PRIVATE, "youtube"),
    Phrase("in your country", Reason.GEO_BLOCKED, "yt-dlp"),
    Phrase("this video has been removed", Reason.REMOVED, "yt-dlp"),
    Phrase("no longer available", Reason.REMOVED, "youtube"),  # copyright claim, closed account
    Phrase("this video does not exist", Reason.REMOVED, "yt-dlp"),
    Phrase("members-only", Reason.LOGIN_REQUIRED, "youtube"),
    Phrase("requires payment", Reason.LOGIN_REQUIRED, "youtube"),
    Phrase("login details are needed", Reason.LOGIN_REQUIRED, "yt-dlp"),
    Phrase("only available for registered users", Reason.LOGIN_REQUIRED, "yt-dlp"),
    # The hint after any other "sign in": for one video, or for all if YouTube distrusts the IP address.
    Phrase("for the authentication", Reason.LOGIN_REQUIRED, "yt-dlp", is_transient=True),
    Phrase("video unavailable", Reason.UNAVAILABLE, "yt-dlp"),
    Phrase("video is not available", Reason.UNAVAILABLE, "yt-dlp"),
)

# Messages of yt-dlp's downloader, which drops the original exception.
TRUNCATED_PHRASES = (
    "more expected",
    "content too short",
    "did not get any data blocks",
    "downloaded file is empty",
)
TRANSFER_FAILED = "got error: "
TRANSFER_PHRASES = ("unable to download video data", TRANSFER_FAILED)
DISK_PHRASES = ("unable to write data", "unable to open for writing", "unable to create directory")
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
# The page offers no format with a video stream, or yt-dlp failed to solve the challenge that guards them.
NO_FORMAT = "requested format is not available"
# All of YouTube's players refused; the warnings logged before state the reason.
NO_PLAYER = "failed to extract any player response"

_BASE_OPTIONS: dict[str, Any] = {
    "noplaylist": True,
    "playlist_items": "0",  # an address of several videos is rejected
    "continuedl": True,
    "skip_unavailable_fragments": False,  # skipping would leave gaps
    "fixup": "never",
    "updatetime": False,
    "cachedir": False,
    "retries": 0,  # the caller retries and counts
    "extractor_retries": 0,
    "fragment_retries": 0,
    "sleep_interval_requests": 0.75,  # between the pages of one video, as in yt-dlp's own preset
    "quiet": True,
    "noprogress": True,
}


class _WarningCollector:
    """Logger for yt-dlp that keeps warnings and drops the rest; errors also arrive as exceptions."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, message: str) -> None:
        """Drop a message."""

    error = debug

    def warning(self, message: str) -> None:
        """Keep a warning."""
        self.warnings.append(message)


def download_url(url: str, name: str, folder: Path, max_height: int, stall_s: float) -> FetchedFile:
    """Download one video to `<folder>/<name>.<format>.<ext>`, resuming an earlier attempt under that name.

    A single format with a video stream is downloaded, so nothing is merged. Among formats of one size, H.264
    is preferred.

    Args:
        url: address of the video.
        name: prefix of the file name, safe and unique to the address.
        folder: folder to write the file to.
        max_height: largest format requested, in lines; if all formats are larger, the smallest is used.
        stall_s: seconds without data after which the connection is closed.

    Raises:
        FetchError: the video could not be fetched.
        FaceanimError: the disk is full or cannot be written.
    """
    import yt_dlp

    collector = _WarningCollector()
    options = _BASE_OPTIONS | {
        "match_filter": yt_dlp.match_filter_func("!is_live"),  # a live stream never ends
        "outtmpl": f"{name}.%(format_id)s.%(ext)s",
        "paths": {"home": str(folder.resolve())},
        "format": "bv*",
        "format_sort": [f"res:{max_height}", "vcodec:h264"],
        "socket_timeout": stall_s,
        "logger": collector,
    }
    try:
        with yt_dlp.YoutubeDL(options | build_access_options()) as downloader:
            downloader.proxies["no"] = add_hosts(downloader.proxies.get("no", ""))
            info = downloader.extract_info(url)
    except MemoryError:
        raise
    except Exception as error:  # a page can make its extractor fail in any way
        raise classify_error(error, collector.warnings) from None
    files: list[dict[str, Any]] = (info or {}).get("requested_downloads") or []
    if len(files) != 1:
        raise FetchError(Reason.UNAVAILABLE)
    return FetchedFile(Path(files[0]["filepath"]), info.get("duration"))


def classify_error(error: Exception, warnings: Sequence[str]) -> FetchError:
    """Translate an exception of yt-dlp to a `FetchError`, by its type if that is specific, else by its text.

    Args:
        error: exception raised by `YoutubeDL.extract_info`.
        warnings: warnings logged before the exception.

    Raises:
        FaceanimError: the disk is full or cannot be written.
    """
    from yt_dlp.networking.exceptions import HTTPError, IncompleteRead, TransportError
    from yt_dlp.utils import GeoRestrictedError, UnsupportedError

    text = str(error).lower()
    if any(phrase in text for phrase in (*DISK_PHRASES, *(f"[errno {number}]" for number in _DISK_ERRORS))):
        raise FaceanimError("download: cannot write the videos; is the disk full?") from None
    exc_info: Any = getattr(error, "exc_info", None) or (None, error)
    for cause in (exc_info[1], getattr(exc_info[1], "cause", None)):
        match cause:
            case HTTPError():
                retry_after_s = _parse_retry_after(cause.response.headers.get("Retry-After"))
                return _classify_status(cause.status, text, retry_after_s)
            case IncompleteRead():
                return FetchError(Reason.TRUNCATED, is_transient=True)
            case TransportError():
                return FetchError(Reason.NETWORK, is_transient=True)
            case GeoRestrictedError():
                return FetchError(Reason.GEO_BLOCKED)
            case UnsupportedError():  # a page without a video
                return FetchError(Reason.INVALID_MEDIA)
    if NO_PLAYER in text:
        text = "\n".join(warnings).lower()
    return _classify_text(text, is_answer=getattr(exc_info[1], "expected", False))


def _classify_status(status: int, text: str, retry_after_s: float | None = None) -> FetchError:
    if status == 429:
        return FetchError(Reason.RATE_LIMITED, True, retry_after_s)
    if any(phrase in text for phrase in TRANSFER_PHRASES):
        # The site has just issued this address, so it has expired or the site distrusts the client.
        return FetchError(Reason.HTTP, True, retry_after_s)
    if status in (404, 410):
        return FetchError(Reason.NOT_FOUND)
    return FetchError(Reason.HTTP, status >= 500, retry_after_s)


def _classify_text(text: str, is_answer: bool) -> FetchError:
    """Classify a lower-case message.

    Args:
        text: message in lower case.
        is_answer: whether yt-dlp attributes it to the site rather than to a bug in yt-dlp.
    """
    if status := re.search(r"http error (\d{3})", text):
        return _classify_status(int(status[1]), text)
    if any(phrase in text for phrase in TRUNCATED_PHRASES):
        return FetchError(Reason.TRUNCATED, is_transient=True)
    if TRANSFER_FAILED in text:
        return FetchError(Reason.NETWORK, is_transient=True)
    if NO_FORMAT in text:
        return FetchError(Reason.NO_VIDEO_STREAM, is_transient=True)
    for phrase in PHRASES:
        if phrase.text in text:
            return FetchError(phrase.reason, phrase.is_transient)
    # Unknown messages count as transient: they may concern the client rather than the video.
    return FetchError(Reason.UNAVAILABLE if is_answer else Reason.EXTRACTOR, is_transient=True)


def _parse_retry_after(header: str | None) -> float | None:
    """Parse the seconds requested by a Retry-After header, a number or a date; None if it is neither."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max((parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None
