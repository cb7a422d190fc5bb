"""yt-dlp: one address in, one file or a refusal out."""

from pathlib import Path
from typing import Any

import yt_dlp

from faceanim.data.access import access_options
from faceanim.data.fetched import Fetched, Refusal
from faceanim.data.refusals import refusal
from faceanim.schemas import Reason

_ALWAYS: dict[str, Any] = {
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


class _Listener:
    """yt-dlp's logger: its errors are exceptions, its warnings are kept, the rest is dropped."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, message: str) -> None:
        """Drop it."""

    error = debug

    def warning(self, message: str) -> None:
        """Keep it."""
        self.warnings.append(message)


def fetch(url: str, name: str, folder: Path, max_height: int, stall_s: float) -> Fetched | Refusal:
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
    listener = _Listener()
    options = _ALWAYS | {
        "outtmpl": f"{name}.%(format_id)s.%(ext)s",
        "paths": {"home": str(folder.resolve())},
        "format": "bv*",
        "format_sort": [f"res:{max_height}", "vcodec:h264"],
        "socket_timeout": stall_s,
        "logger": listener,
    }
    try:
        with yt_dlp.YoutubeDL(options | access_options()) as downloader:
            info = downloader.extract_info(url)
    except MemoryError:
        raise
    except Exception as error:  # a site's page can upset its extractor in any way
        return refusal(error, listener.warnings)
    files: list[dict[str, Any]] = (info or {}).get("requested_downloads") or []
    if len(files) != 1:
        return Refusal(Reason.UNAVAILABLE, False)
    return Fetched(Path(files[0]["filepath"]), info.get("duration"))
