"""A web server on 127.0.0.1 whose addresses misbehave, each in its own way."""

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.helpers.videos import moving, write

ALWAYS = 10**6
STALL_S = 30.0  # longer than any test waits


def film(path: Path, size: int = 0) -> bytes:
    """A short video, made longer by a box that says nothing, so that it can break off half-way."""
    content = write(path, moving(5, (150, 160))).read_bytes()
    return content + struct.pack(">I4s", size + 8, b"free") + bytes(size)


class Request(NamedTuple):
    """What a client asked for, and how many bytes of content it was sent."""

    path: str
    first_byte: int
    sent: int


class Site:
    """Addresses are `/<behaviour>/<times>/<name>`: the first `times` requests misbehave, later ones do not.

    Behaviours: `ok`, a status such as `404` or `429`, `moved`, `stall`, `reset`, `short` (fewer bytes than
    promised), `cut` (fewer bytes, and no more promised), `html`, `slow`. yt-dlp asks twice for each fetch:
    what is it, and then for all of it.
    """

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}  # sent along with every status that is no success
        self.requests: list[Request] = []
        self.seen: list[dict[str, str]] = []  # the headers of each request
        self.asked: Counter[str] = Counter()
        self.patience = ALWAYS  # requests after which all are answered 429
        self.in_flight: Counter[str] = Counter()
        self.busiest = 0  # most addresses that were being sent at a time
        self.chunk_s = 0.0  # between two pieces of what is `slow`
        self.chunks = 0
        self.port = 0
        self.lock = threading.Lock()

    def url(self, behaviour: str, name: str, times: int = ALWAYS) -> str:
        return f"http://127.0.0.1:{self.port}/{behaviour}/{times}/{name}"

    def asked_for(self, name: str) -> list[Request]:
        """The requests for a name that have been answered, or given up."""
        return [request for request in self.requests if request.path.endswith(f"/{name}")]


@contextmanager
def serve() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with site.lock:
                site.seen.append(dict(self.headers))
                site.asked[self.path] += 1
                site.in_flight[self.path] += 1
                site.busiest = max(site.busiest, len(+site.in_flight))
            try:
                answer(self, site)
            except (ConnectionError, TimeoutError):
                self.close_connection = True
            finally:
                with site.lock:
                    site.in_flight[self.path] -= 1

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def shutdown_request(self, request: socket.socket) -> None:
            self.close_request(request)  # without the polite end that would come before a reset

        def handle_error(self, *arguments: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        site.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield site
        server.shutdown()
        server.block_on_close = False


def answer(handler: BaseHTTPRequestHandler, site: Site) -> None:
    # A client that takes it for a proxy sends a whole address.
    _, behaviour, times, name = urlsplit(handler.path).path.split("/", 3)
    if site.asked[handler.path] > int(times):
        behaviour = "ok"
    if site.asked.total() > site.patience:
        behaviour = "429"
    if behaviour.isdigit():
        head(handler, int(behaviour), {"Content-Length": "0", **site.headers})
    elif behaviour == "moved":
        head(handler, 301, {"Content-Length": "0", "Location": site.url("ok", name)})
    elif behaviour == "html":
        page = b"<!DOCTYPE html><html><body>not here any more</body></html>"
        head(handler, 200, {"Content-Type": "text/html", "Content-Length": str(len(page))})
        handler.wfile.write(page)
    else:
        send_content(handler, site, behaviour, name)


def head(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for key, value in headers.items():
        handler.send_header(key, value)
    handler.end_headers()


def send_content(handler: BaseHTTPRequestHandler, site: Site, behaviour: str, name: str) -> None:
    content = site.contents[name]
    size = len(content)
    first = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
    part = content[first:]
    if behaviour in ("stall", "reset", "short", "cut"):
        part = part[: len(part) // 2]
    headers = {"Content-Type": "video/mp4", "Content-Length": str(size - first)}
    if behaviour == "cut":
        headers["Content-Length"] = str(len(part))
    if first:
        headers["Content-Range"] = f"bytes {first}-{size - 1}/{size}"
    head(handler, 206 if first else 200, headers)
    sent = 0
    try:
        for start in range(0, len(part), 1 << 14):
            if behaviour == "slow":
                time.sleep(site.chunk_s)
                site.chunks += 1
            handler.wfile.write(part[start : start + (1 << 14)])
            sent += len(part[start : start + (1 << 14)])
        if behaviour == "stall":
            time.sleep(STALL_S)
    finally:
        site.requests.append(Request(handler.path, first, sent))
    if behaviour == "reset":
        # With no time to linger, closing resets the connection.
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = behaviour in ("reset", "short", "stall")
