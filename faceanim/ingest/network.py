"""Check that the network is there, before videos are tried one by one with pauses and retries."""

import os
import queue
import socket
import threading
import time
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from faceanim.errors import TemporaryError
from faceanim.ingest.credentials import PROXY_VARIABLE

MAX_SERVERS = 4
"""Servers that are tried; one that is reached is enough."""
TIMEOUT_S, ATTEMPTS, PAUSE_S = 5.0, 2, 0.5
"""Seconds to wait for a connection, attempts, and seconds between them: a lookup may fail once."""
_PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}


class Server(NamedTuple):
    """Host and port that a connection is opened to, and whether it is a proxy."""

    host: str
    port: int
    is_proxy: bool


def check_network(urls: Iterable[str]) -> None:
    """Check that a connection to at least one of the servers of some addresses, or to their proxy, opens.

    Unreachable servers among reachable ones are left to the retries of each video.

    Raises:
        TemporaryError: no server can be reached; the message contains no password.
    """
    servers = list(dict.fromkeys(filter(None, map(find_server, urls))))[:MAX_SERVERS]
    failures = connect_to_any(servers)
    for _ in range(1, ATTEMPTS):
        if failures:
            time.sleep(PAUSE_S)
            failures = connect_to_any(servers)
    if failures:
        server = servers[0]
        kind = f"the proxy {server.host}" if server.is_proxy else server.host
        others = f", nor {len(servers) - 1} other servers" if servers[1:] else ""
        raise TemporaryError(
            f"download: cannot reach {kind}:{server.port} ({failures[server]}){others}; nothing is lost: "
            f"check the network, or set a proxy ({PROXY_VARIABLE}), and run this again"
        )


def find_server(url: str) -> Server | None:
    """Find the server that is contacted for an address: its own, or a proxy; None if it names none."""
    own = _parse_server(url, is_proxy=False)
    if own is None:
        return None
    proxy = os.environ.get(PROXY_VARIABLE)
    if not proxy and not proxy_bypass(own.host):
        proxies = getproxies()
        proxy = proxies.get(urlsplit(url).scheme) or proxies.get("all")
    return _parse_server(proxy if "://" in proxy else f"http://{proxy}", is_proxy=True) if proxy else own


def _parse_server(url: str, is_proxy: bool) -> Server | None:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return Server(parts.hostname, port, is_proxy) if parts.hostname and port else None


def connect_to_any(servers: list[Server]) -> dict[Server, str]:
    """Try all servers at once; return why each failed, or nothing as soon as one is reached.

    The threads are daemons, because the lookup of a name has no timeout.
    """
    results: queue.Queue[tuple[Server, str]] = queue.Queue()
    for server in servers:
        threading.Thread(target=lambda s=server: results.put((s, _try_to_connect(s))), daemon=True).start()
    failures = dict.fromkeys(servers, "timed out")
    deadline = time.monotonic() + TIMEOUT_S
    for _ in servers:
        try:
            server, failure = results.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            break
        if not failure:
            return {}
        failures[server] = failure
    return failures


def _try_to_connect(server: Server) -> str:
    """Open and close a connection; return why that failed, or nothing."""
    try:
        socket.create_connection((server.host, server.port), timeout=TIMEOUT_S).close()
    except (OSError, UnicodeError) as error:  # a label of the name may be too long to be encoded
        return (getattr(error, "strerror", None) or str(error)).lower()
    return ""
