"""yt-dlp: one address in, one file or a reason out."""

from pathlib import Path
from typing import Any, NamedTuple

import yt_dlp
from yt_dlp.networking.exceptions import HTTPError, TransportError

from faceanim.schemas import Reason

SOCKET_TIMEOUT_S = 30

_ALWAYS: dict[str, Any] = {
    "overwrites": True,
    "noplaylist": True,
    "fixup": "never",
    "updatetime": False,
    "cachedir": False,
    "retries": 0,  # the caller tries again, and counts
    "extractor_retries": 0,
    "socket_timeout": SOCKET_TIMEOUT_S,
    "quiet": True,
    "noprogress": True,
}


class Fetched(NamedTuple):
    """A file, or why there is none, and whether that may pass (so that another try makes sense)."""

    path: Path | None
    reason: Reason
    is_passing: bool


class _Silent:
    """yt-dlp's logger: what it has to say is in the exception."""

    def debug(self, message: str) -> None:
        """Drop it."""

    warning = error = debug


def fetch(url: str, name: str, folder: Path, max_height: int) -> Fetched:
    """Fetch one video to `<folder>/<name>.<ext>`.

    Args:
        url: an address, or a path of this machine where it has no scheme.
        name: a safe id.
        folder: where to put it.
        max_height: the largest format wanted; H.264 is preferred among those of one size. One format with the
            picture in it, so that ffmpeg is not needed to join two.
    """
    is_local = "://" not in url
    source = Path(url)
    if is_local and not source.is_file():
        return Fetched(None, Reason.NOT_FOUND, False)
    options = _ALWAYS | {
        "outtmpl": f"{name}.%(ext)s",
        "paths": {"home": str(folder.resolve())},
        "format": "bv*/b",
        "format_sort": [f"res:{max_height}", "vcodec:h264"],
        "enable_file_urls": is_local,
        "continuedl": not is_local,
        "logger": _Silent(),
    }
    try:
        with yt_dlp.YoutubeDL(options) as downloader:
            info = downloader.extract_info(source.resolve().as_uri() if is_local else url)
    except yt_dlp.utils.DownloadError as error:
        return _failure(error, is_local)
    files: list[dict[str, Any]] = (info or {}).get("requested_downloads") or []
    if len(files) != 1:
        return Fetched(None, Reason.UNAVAILABLE, False)
    return Fetched(Path(files[0]["filepath"]), Reason.NONE, False)


def _failure(error: Any, is_local: bool) -> Fetched:
    """Why a fetch failed, by the types of what lies beneath yt-dlp's error."""
    cause = error.exc_info[1] if error.exc_info else None
    for found in (cause, getattr(cause, "cause", None)):
        if isinstance(found, HTTPError):
            missing = found.status in (404, 410)
            return Fetched(
                None, Reason.NOT_FOUND if missing else Reason.HTTP, found.status == 429 or found.status >= 500
            )
        if isinstance(found, TransportError):
            return Fetched(None, Reason.NETWORK, True)
    return Fetched(None, Reason.INVALID_MEDIA if is_local else Reason.UNAVAILABLE, False)
