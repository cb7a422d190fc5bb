"""Ids of videos on YouTube, read from what lists have in their place: ids and addresses."""

import re
from urllib.parse import parse_qs, urlsplit

from faceanim.ingest.lists import parse_text

_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_HOSTS = frozenset({"youtube.com", "youtube-nocookie.com"})
_SHORT_HOST = "youtu.be"
_PATHS = frozenset({"shorts", "embed", "live", "v", "e", "vi"})
"""First parts of paths of which the second is an id."""


def parse_video_id(text: str) -> str:
    """Return the id that a text is, or that its address of a video on YouTube contains.

    Raises:
        ValueError: the text is neither.
    """
    if _ID.fullmatch(parse_text(text)):
        return text
    if found := _find_in_address(text):
        return found
    raise ValueError(f"{text[:60]!r} is neither the id of a video on YouTube (11 characters) nor its address")


def _find_in_address(text: str) -> str | None:
    """Return the id in an address, with or without a scheme; None if it is not the address of a video."""
    try:
        parts = urlsplit(text if "://" in text else f"https://{text.removeprefix('//')}")
        host = re.sub(r"^(www|m|music)\.", "", parts.hostname or "")
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https"):
        return None
    folders = [name for name in parts.path.split("/") if name]
    found = ""
    if host == _SHORT_HOST:
        found = folders[0] if folders else ""
    elif host in _HOSTS and folders == ["watch"]:
        found = parse_qs(parts.query).get("v", [""])[0]
    elif host in _HOSTS and len(folders) == 2 and folders[0] in _PATHS:
        found = folders[1]
    return found if _ID.fullmatch(found) else None
