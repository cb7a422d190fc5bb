"""A web server on 127.0.0.1 with addresses that fail in different ways."""

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
STALL_S = 30.0
"""Duration of a stall in seconds, longer than any test waits."""
CHUNK_BYTES = 1 << 14


def make_video(path: Path, padding: int = 0) -> bytes:
    """Make a short video that ends in a box of `padding` unused bytes, so that a transfer can be cut."""
    content = write(path, moving(5, (150, 160))).read_bytes()
    return content + struct.pack(">I4s", padding + 8, b"free") + bytes(padding)


class Request(NamedTuple):
    """An answered or aborted request.

    Attributes:
        path: path of the address.
        first_byte: first byte of the requested range.
        sent: bytes of content sent.
    """

    path: str
    first_byte: int
    sent: int


class Site:
    """State of the server.

    Addresses are `/<behavior>/<times>/<name>`: the first `times` requests misbehave, later ones succeed.
    Behaviors: `ok`, a status such as `404` or `429`, `moved`, `stall`, `reset`, `short` (fewer bytes than
    announced), `cut` (fewer bytes, with a matching length), `html`, `slow`. yt-dlp sends two requests per
    fetch: one to identify the content, and one for all of it.

    Attributes:
        contents: files by name.
        headers: headers added to every status other than success.
        requests: requests for content that have been answered or aborted.
        request_headers: headers of each request.
        request_counts: number of requests by path.
        max_requests: number of requests after which all are answered with 429.
        in_flight: number of open requests by path.
        max_in_flight: largest number of paths that were open at the same time.
        chunk_delay_s: pause before each chunk of a `slow` address.
        chunks_sent: number of chunks sent by `slow` addresses.
        port: port of the server.
        lock: lock of the counters.
    """

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}
        self.requests: list[Request] = []
        self.request_headers: list[dict[str, str]] = []
        self.request_counts: Counter[str] = Counter()
        self.max_requests = ALWAYS
        self.in_flight: Counter[str] = Counter()
        self.max_in_flight = 0
        self.chunk_delay_s = 0.0
        self.chunks_sent = 0
        self.port = 0
        self.lock = threading.Lock()

    def url(self, behavior: str, name: str, times: int = ALWAYS) -> str:
        """Return an address that misbehaves `times` times."""
        return f"http://127.0.0.1:{self.port}/{behavior}/{times}/{name}"

    def requests_for(self, name: str) -> list[Request]:
        """Return the answered or aborted requests for a file."""
        return [request for request in self.requests if request.path.endswith(f"/{name}")]


@contextmanager
def serve() -> Iterator[Site]:
    """Run the server in a thread."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with site.lock:
                site.request_headers.append(dict(self.headers))
                site.request_counts[self.path] += 1
                site.in_flight[self.path] += 1
                site.max_in_flight = max(site.max_in_flight, len(+site.in_flight))
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

        def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
            self.close_request(request)  # without the orderly shutdown that would precede a reset

        def handle_error(self, *arguments: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        site.port = server.server_port
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield site
        server.shutdown()
        server.block_on_close = False


def answer(handler: BaseHTTPRequestHandler, site: Site) -> None:
    """Answer a request as its address says."""
    # A client that uses the server as a proxy sends the whole address.
    _, behavior, times, name = urlsplit(handler.path).path.split("/", 3)
    if site.request_counts[handler.path] > int(times):
        behavior = "ok"
    if site.request_counts.total() > site.max_requests:
        behavior = "429"
    if behavior.isdigit():
        send_head(handler, int(behavior), {"Content-Length": "0", **site.headers})
    elif behavior == "moved":
        send_head(handler, 301, {"Content-Length": "0", "Location": site.url("ok", name)})
    elif behavior == "html":
        page = b"<!DOCTYPE html><html><body>not here any more</body></html>"
        send_head(handler, 200, {"Content-Type": "text/html", "Content-Length": str(len(page))})
        handler.wfile.write(page)
    else:
        send_content(handler, site, behavior, name)


def send_head(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    """Send the status and the headers of an answer."""
    handler.send_response(status)
    for key, value in headers.items():
        handler.send_header(key, value)
    handler.end_headers()


def send_content(handler: BaseHTTPRequestHandler, site: Site, behavior: str, name: str) -> None:
    """Send a file, or half of it."""
    content = site.contents[name]
    size = len(content)
    first = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
    part = content[first:]
    if behavior in ("stall", "reset", "short", "cut"):
        part = part[: len(part) // 2]
    headers = {"Content-Type": "video/mp4", "Content-Length": str(size - first)}
    if behavior == "cut":
        headers["Content-Length"] = str(len(part))
    if first:
        headers["Content-Range"] = f"bytes {first}-{size - 1}/{size}"
    send_head(handler, 206 if first else 200, headers)
    sent = 0
    try:
        for start in range(0, len(part), CHUNK_BYTES):
            if behavior == "slow":
                time.sleep(site.chunk_delay_s)
                site.chunks_sent += 1
            chunk = part[start : start + CHUNK_BYTES]
            handler.wfile.write(chunk)
            sent += len(chunk)
        if behavior == "stall":
            time.sleep(STALL_S)
    finally:
        site.requests.append(Request(handler.path, first, sent))
    if behavior == "reset":
        # With a linger time of 0, closing resets the connection.
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = behavior in ("reset", "short", "stall")
