"""Access options of yt-dlp: cookies and proxy from the environment, JavaScript runtime and ffmpeg.

Each worker reads the environment itself, so that secrets are neither sent nor recorded with its jobs.
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
"""Environment variable with the path of a cookies file in Netscape format.

The cookies are those of an account or of a passed bot check.
"""
PROXY_VARIABLE = "FACEANIM_PROXY"
"""Environment variable with the address of a proxy; if unset, yt-dlp uses HTTP_PROXY and HTTPS_PROXY."""

_PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})
_COOKIE_LINE = re.compile(r"(#HttpOnly_)?([^\t]*\t){4}\d*(\.\d+)?\t[^\t]*\t[^\t]*")

log = logging.getLogger(__name__)


def check_prerequisites(urls: Iterable[str]) -> None:
    """Check up front that this machine has what the addresses require; a missing ffmpeg is only logged.

    Raises:
        FaceanimError: the cookies file is missing or malformed, the proxy is not a valid address, or no
            JavaScript runtime is available for YouTube. The message never contains a secret.
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
                "download: ffmpeg not found, so some formats cannot be fetched; install it or imageio-ffmpeg"
            )


def build_access_options() -> dict[str, Any]:
    """Build the yt-dlp options that depend on this machine and its environment."""
    options: dict[str, Any] = {
        "js_runtimes": {name: {"path": path} for name, path in _find_js_runtimes().items()},
        "ffmpeg_location": find_ffmpeg(),
    }
    if cookies := os.environ.get(COOKIES_VARIABLE):
        # Passed as a stream, because yt-dlp would write cookies back to a file.
        options["cookiefile"] = io.StringIO(_read_cookies(cookies))
    if proxy := os.environ.get(PROXY_VARIABLE):
        options["proxy"] = proxy
    return options


def find_ffmpeg() -> str | None:
    """Return the path of the ffmpeg in PATH or else of the one bundled with imageio-ffmpeg, if any."""
    if path := shutil.which("ffmpeg"):
        return path
    import imageio_ffmpeg

    try:
        path = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        return None
    return path if Path(path).is_file() else None


def _is_youtube(url: str) -> bool:
    host = "." + (urlsplit(url).hostname or "")
    return host.endswith((".youtube.com", ".youtu.be", ".youtube-nocookie.com"))


def _find_js_runtimes() -> dict[str, str]:
    """Map the names that yt-dlp gives to JavaScript runtimes to the paths of those found.

    The folder of the running Python is searched first, because it may not be in PATH.
    """
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    paths = {name: shutil.which(name, path=folders) for name in ("deno", "node")}
    return {name: path for name, path in paths.items() if path is not None}


def _check_js_runtime() -> None:
    import yt_dlp  # noqa: F401  (registers the supported runtimes)
    from yt_dlp.globals import supported_js_runtimes

    for name, path in _find_js_runtimes().items():
        info = supported_js_runtimes.value[name](path=path).info
        if info is not None and info.supported:
            return
    raise FaceanimError(
        "download: cannot fetch from YouTube: its addresses require a JavaScript runtime and none was found; "
        "run `pip install deno`, or install node 22 or later"
    )


def _read_cookies(name: str) -> str:
    """Read a cookies file, without the byte order mark that some editors write."""
    return Path(name).read_text(encoding="utf-8-sig")


def _check_cookies() -> None:
    name = os.environ.get(COOKIES_VARIABLE)
    if not name:
        return
    try:
        text = _read_cookies(name)
    except (OSError, UnicodeDecodeError):
        raise FaceanimError(f"{COOKIES_VARIABLE}: cannot read {name}: missing or not a text file") from None
    for number, line in enumerate(text.splitlines(), start=1):
        is_comment = not line.strip() or (line.startswith("#") and not line.startswith("#HttpOnly_"))
        # yt-dlp would print a malformed line, including any secret in it.
        if not is_comment and not _COOKIE_LINE.fullmatch(line):
            raise FaceanimError(
                f"{COOKIES_VARIABLE}: line {number} of {name} is not a cookie in Netscape format"
            )
    from yt_dlp.cookies import YoutubeDLCookieJar

    try:
        YoutubeDLCookieJar(io.StringIO(text)).load()
    except LoadError:
        raise FaceanimError(f"{COOKIES_VARIABLE}: {name} is not a cookies file in Netscape format") from None


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
        raise FaceanimError(
            f"{PROXY_VARIABLE} is not an address such as http://host:port (schemes: {schemes})"
        )
