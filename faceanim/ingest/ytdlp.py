"""yt-dlp: one address in, one file or a refusal out."""

import errno
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yt_dlp
from yt_dlp.networking.exceptions import HTTPError, IncompleteRead, TransportError
from yt_dlp.utils import GeoRestrictedError, UnsupportedError

from faceanim.errors import FaceanimError
from faceanim.ingest.credentials import build_access_options
from faceanim.schemas import Reason

_WORTH_A_RETRY = frozenset({Reason.NETWORK, Reason.HTTP, Reason.TRUNCATED})


class Fetched(NamedTuple):
    """A file that is not verified yet, and the seconds that its site says it has."""

    path: Path
    seconds: float | None


class Refusal(NamedTuple):
    """Why there is no file.

    Attributes:
        reason: from the closed list.
        is_transient: whether another day may bring another answer; else the answer is remembered.
        retry_after_s: how long the site asks to be left alone, where it says so.
    """

    reason: Reason
    is_transient: bool
    retry_after_s: float | None = None

    @property
    def worth_a_retry(self) -> bool:
        """Whether another answer may come within a minute; a file that is too short may only be this time."""
        return self.reason in _WORTH_A_RETRY and (self.is_transient or self.reason is Reason.TRUNCATED)


class Phrase(NamedTuple):
    """A text, in lower case, that gives a reason away.

    Attributes:
        text: what to look for.
        reason: what it means.
        source: whose words they are: yt-dlp's, which a test looks up in its source, or YouTube's.
        is_transient: see `Refusal`.
    """

    text: str
    reason: Reason
    source: Literal["yt-dlp", "youtube"]
    is_transient: bool = False


PHRASES = (
    # The order counts: a rate limit calls the video unavailable as well, a bot check says "sign in" as well.
    Phrase("not a bot", Reason.BOT_CHECK, "youtube", is_transient=True),
    Phrase("requiring a captcha challenge", Reason.BOT_CHECK, "yt-dlp", is_transient=True),
    Phrase("your ip is likely being blocked", Reason.BOT_CHECK, "yt-dlp", is_transient=True),
    Phrase("has been rate-limited by youtube", Reason.RATE_LIMITED, "yt-dlp", is_transient=True),
    Phrase(
        "page needs to be reloaded", Reason.EXTRACTOR, "youtube", is_transient=True
    ),  # of all, to an old yt-dlp
    Phrase("try again later", Reason.UNAVAILABLE, "yt-dlp", is_transient=True),
    Phrase("confirm your age", Reason.AGE_RESTRICTED, "yt-dlp"),
    Phrase("age-restricted", Reason.AGE_RESTRICTED, "yt-dlp"),
    Phrase("private video", Reason.PRIVATE, "yt-dlp"),
    Phrase("video is private", Reason.PRIVATE, "youtube"),
    Phrase("in your country", Reason.GEO_BLOCKED, "yt-dlp"),
    Phrase("this video has been removed", Reason.REMOVED, "yt-dlp"),
    Phrase("no longer available", Reason.REMOVED, "youtube"),  # a copyright claim, an account that was closed
    Phrase("this video does not exist", Reason.REMOVED, "yt-dlp"),
    Phrase("members-only", Reason.LOGIN_REQUIRED, "youtube"),
    Phrase("requires payment", Reason.LOGIN_REQUIRED, "youtube"),
    Phrase("login details are needed", Reason.LOGIN_REQUIRED, "yt-dlp"),
    Phrase("only available for registered users", Reason.LOGIN_REQUIRED, "yt-dlp"),
    # Its hint after any other "sign in": of one video, or of all to an address that is out of favour.
    Phrase("for the authentication", Reason.LOGIN_REQUIRED, "yt-dlp", is_transient=True),
    Phrase("video unavailable", Reason.UNAVAILABLE, "yt-dlp"),
    Phrase("video is not available", Reason.UNAVAILABLE, "yt-dlp"),
)

# What yt-dlp's downloader says; the exception behind it is lost.
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
# The page has no format with a picture in it, or yt-dlp failed to solve the puzzle that guards them.
NO_FORMAT = "requested format is not available"
# All players of YouTube refused; the warnings before say why.
NO_PLAYER = "failed to extract any player response"


def classify_error(error: Exception, warnings: Sequence[str]) -> Refusal:
    """What an exception of yt-dlp means.

    Args:
        error: what `YoutubeDL.extract_info` raised.
        warnings: what it said before.

    Raises:
        FaceanimError: the disk is full or cannot be written.
    """
    text = str(error).lower()
    if any(phrase in text for phrase in (*DISK_PHRASES, *(f"[errno {number}]" for number in _DISK_ERRORS))):
        raise FaceanimError("download: cannot write the videos; is the disk full?") from None
    exc_info: Any = getattr(error, "exc_info", None) or (None, error)
    for cause in (exc_info[1], getattr(exc_info[1], "cause", None)):
        match cause:
            case HTTPError():
                return _classify_status(
                    cause.status, text, _parse_retry_after(cause.response.headers.get("Retry-After"))
                )
            case IncompleteRead():
                return Refusal(Reason.TRUNCATED, True)
            case TransportError():
                return Refusal(Reason.NETWORK, True)
            case GeoRestrictedError():
                return Refusal(Reason.GEO_BLOCKED, False)
            case UnsupportedError():  # a page, and no video in it
                return Refusal(Reason.INVALID_MEDIA, False)
    if NO_PLAYER in text:
        text = "\n".join(warnings).lower()
    return _classify_text(text, is_answer=getattr(exc_info[1], "expected", False))


def _classify_status(status: int, text: str, retry_after_s: float | None = None) -> Refusal:
    if status == 429:
        return Refusal(Reason.RATE_LIMITED, True, retry_after_s)
    if any(phrase in text for phrase in TRANSFER_PHRASES):
        # The site had just given that address: it has grown old, or the site is wary of us.
        return Refusal(Reason.HTTP, True, retry_after_s)
    if status in (404, 410):
        return Refusal(Reason.NOT_FOUND, False)
    return Refusal(Reason.HTTP, status >= 500, retry_after_s)


def _classify_text(text: str, is_answer: bool) -> Refusal:
    """`is_answer`: yt-dlp knows the message as the site's own, so that it is no defect of yt-dlp's."""
    if status := re.search(r"http error (\d{3})", text):
        return _classify_status(int(status[1]), text)
    if any(phrase in text for phrase in TRUNCATED_PHRASES):
        return Refusal(Reason.TRUNCATED, True)
    if TRANSFER_FAILED in text:
        return Refusal(Reason.NETWORK, True)
    if NO_FORMAT in text:
        return Refusal(Reason.NO_VIDEO_STREAM, True)
    for phrase in PHRASES:
        if phrase.text in text:
            return Refusal(phrase.reason, phrase.is_transient)
    # Words that are not known here are not remembered: they may be about us, and not about the video.
    return Refusal(Reason.UNAVAILABLE if is_answer else Reason.EXTRACTOR, True)


def _parse_retry_after(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, as such or as a date; None where it makes no sense."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max((parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


_BASE_OPTIONS: dict[str, Any] = {
    "noplaylist": True,
    "playlist_items": "0",  # an address that leads to many videos is none of ours
    "match_filter": yt_dlp.match_filter_func("!is_live"),  # never ends
    "continuedl": True,
    "skip_unavailable_fragments": False,  # it would leave holes
    "fixup": "never",
    "updatetime": False,
    "cachedir": False,
    "retries": 0,  # the caller tries again, and counts
    "extractor_retries": 0,
    "fragment_retries": 0,
    "sleep_interval_requests": 0.75,  # between the pages of one video, as yt-dlp's own preset has it
    "quiet": True,
    "noprogress": True,
}


class _WarningCollector:
    """yt-dlp's logger: its errors are exceptions, its warnings are kept, the rest is dropped."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, message: str) -> None:
        """Drop it."""

    error = debug

    def warning(self, message: str) -> None:
        """Keep it."""
        self.warnings.append(message)


def download_url(url: str, name: str, folder: Path, max_height: int, stall_s: float) -> Fetched | Refusal:
    """Fetch one video to `<folder>/<name>.<format>.<ext>`, from where an earlier try of that name ended.

    Args:
        url: an address.
        name: safe as a file name, another one for another address.
        folder: where to put it.
        max_height: lines of the largest format wanted (the smallest above it where there is none); H.264 is
            preferred among those of one size. One format with the picture in it, so that nothing is joined.
        stall_s: seconds without a byte after which the connection is given up.

    Raises:
        FaceanimError: the disk is full or cannot be written.
    """
    listener = _WarningCollector()
    options = _BASE_OPTIONS | {
        "outtmpl": f"{name}.%(format_id)s.%(ext)s",
        "paths": {"home": str(folder.resolve())},
        "format": "bv*",
        "format_sort": [f"res:{max_height}", "vcodec:h264"],
        "socket_timeout": stall_s,
        "logger": listener,
    }
    try:
        with yt_dlp.YoutubeDL(options | build_access_options()) as downloader:
            info = downloader.extract_info(url)
    except MemoryError:
        raise
    except Exception as error:  # a site's page can upset its extractor in any way
        return classify_error(error, listener.warnings)
    files: list[dict[str, Any]] = (info or {}).get("requested_downloads") or []
    if len(files) != 1:
        return Refusal(Reason.UNAVAILABLE, False)
    return Fetched(Path(files[0]["filepath"]), info.get("duration"))
