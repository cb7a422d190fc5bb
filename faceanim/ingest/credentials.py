"""What a fetch needs of the machine: cookies and a proxy from the environment, a JavaScript runtime, ffmpeg.

Workers read the environment themselves, so that no secret travels with the work or is recorded with it.
"""

import io
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterable
from http.cookiejar import LoadError
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from faceanim.errors import FaceanimError

COOKIES_VARIABLE = "FACEANIM_COOKIES"
"""Environment variable: a cookies file in Netscape's format, of an account or of a passed bot check."""
PROXY_VARIABLE = "FACEANIM_PROXY"
"""Environment variable: a proxy's address; without it yt-dlp heeds HTTP_PROXY and HTTPS_PROXY."""

_PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})
_COOKIE_LINE = re.compile(r"(#HttpOnly_)?([^\t]*\t){4}\d*(\.\d+)?\t[^\t]*\t[^\t]*")

log = logging.getLogger(__name__)


def check_prerequisites(urls: Iterable[str]) -> None:
    """Say at once, and once, what the addresses will need and this machine lacks.

    Raises:
        FaceanimError: a cookies file that is missing or malformed, a proxy that is no address, or no
            JavaScript runtime for YouTube. The text never has a secret in it.
    """
    remote = [url for url in urls if "://" in url]
    if not remote:
        return
    _check_cookies()
    _check_proxy()
    if any(_is_youtube(url) for url in remote):
        _check_js_runtime()
        if find_ffmpeg() is None:
            log.warning(
                "download: there is no ffmpeg, without which some formats can't be fetched; "
                "install it or imageio-ffmpeg"
            )


def build_access_options() -> dict[str, Any]:
    """yt-dlp's options for this machine."""
    options: dict[str, Any] = {
        "js_runtimes": {name: {"path": path} for name, path in _find_js_runtimes().items()},
        "ffmpeg_location": find_ffmpeg(),
    }
    if cookies := os.environ.get(COOKIES_VARIABLE):
        # As a stream: yt-dlp writes cookies back to where they came from.
        options["cookiefile"] = io.StringIO(Path(cookies).read_text(encoding="utf-8"))
    if proxy := os.environ.get(PROXY_VARIABLE):
        options["proxy"] = proxy
    return options


def find_ffmpeg() -> str | None:
    """The machine's ffmpeg, or the one that imageio-ffmpeg brings."""
    if found := shutil.which("ffmpeg"):
        return found
    import imageio_ffmpeg

    try:
        found = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        return None
    return found if Path(found).is_file() else None


def _is_youtube(url: str) -> bool:
    host = "." + (urlsplit(url).hostname or "")
    return host.endswith((".youtube.com", ".youtu.be", ".youtube-nocookie.com"))


def _find_js_runtimes() -> dict[str, str]:
    """yt-dlp's names of the runtimes here, and their paths; the environment's folder may not be in PATH."""
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    paths = {name: shutil.which(name, path=folders) for name in ("deno", "node")}
    return {name: path for name, path in paths.items() if path is not None}


def _check_js_runtime() -> None:
    import yt_dlp  # noqa: F401  (fills the table of runtimes)
    from yt_dlp.globals import supported_js_runtimes

    for name, path in _find_js_runtimes().items():
        info = supported_js_runtimes.value[name](path=path).info
        if info is not None and info.supported:
            return
    raise FaceanimError(
        "download: YouTube's addresses are hidden behind JavaScript, and there is no runtime for it; "
        "`pip install deno` brings one (node 22 or later will do as well)"
    )


def _check_cookies() -> None:
    name = os.environ.get(COOKIES_VARIABLE)
    if not name:
        return
    try:
        lines = Path(name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise FaceanimError(f"{COOKIES_VARIABLE}: there is no readable text file {name}") from None
    for number, line in enumerate(lines, start=1):
        is_comment = not line.strip() or (line.startswith("#") and not line.startswith("#HttpOnly_"))
        # yt-dlp would print a line that it cannot read, secret and all.
        if not is_comment and not _COOKIE_LINE.fullmatch(line):
            raise FaceanimError(
                f"{COOKIES_VARIABLE}: line {number} of {name} is no cookie in Netscape's format"
            )
    from yt_dlp.cookies import YoutubeDLCookieJar

    try:
        YoutubeDLCookieJar(name).load()
    except LoadError:
        raise FaceanimError(f"{COOKIES_VARIABLE}: {name} is no cookies file in Netscape's format") from None


def _check_proxy() -> None:
    proxy = os.environ.get(PROXY_VARIABLE)
    if not proxy:
        return
    try:
        parts = urlsplit(proxy)
        is_address = parts.scheme in _PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        schemes = ", ".join(sorted(_PROXY_SCHEMES))
        raise FaceanimError(f"{PROXY_VARIABLE} is no address such as http://host:port (one of {schemes})")
