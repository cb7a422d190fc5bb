"""Requests to this machine bypass every proxy that the environment names."""

import os
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import requests
import yt_dlp
from prefect.settings import PREFECT_API_URL, temporary_settings

from faceanim.loopback import HOSTS, bypass_proxies
from faceanim.tracking import connect
from flows.prefect_api import is_api_healthy
from flows.ui import run_server
from tests.helpers.servers import free_port

PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
NO_PROXIES = ("no_proxy", "NO_PROXY")
LOCAL = ",".join(HOSTS)


@contextmanager
def serve(status: int) -> Iterator[tuple[str, list[str]]]:
    """Run a server that answers every request alike; yields its address and the requests that it received."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            received.append(self.requestline)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = do_CONNECT = answer

        def log_message(self, *_: object) -> None:
            """Keep the output of the tests clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


@pytest.fixture
def proxied(monkeypatch):
    """Requests that a proxy received and refused, which all variables name."""
    with serve(503) as (address, received):
        for name in PROXIES:
            monkeypatch.setenv(name, address)
        for name in NO_PROXIES:
            monkeypatch.setenv(name, "")  # so that pytest puts them back
            monkeypatch.delenv(name)
        yield received


def read_status(client: str, address: str) -> int:
    match client:
        case "urllib":
            opener = urllib.request.build_opener()  # that of `urlopen` may be older than the proxies
            return opener.open(address, timeout=5).status
        case "requests":
            return requests.get(address, timeout=5).status_code
        case "httpx":
            return httpx.get(address, timeout=5).status_code
    with yt_dlp.YoutubeDL({"quiet": True}) as downloader:
        return downloader.urlopen(address).status


@pytest.mark.parametrize("client", ["urllib", "requests", "httpx", "yt-dlp"])
def test_clients_reach_this_machine_and_nothing_else_without_the_proxy(client, proxied):
    bypass_proxies()
    with serve(200) as (site, _):
        for address in (site, site.replace("127.0.0.1", "localhost")):
            assert read_status(client, address) == 200
        assert proxied == []
        with suppress(OSError, yt_dlp.utils.YoutubeDLError):
            assert read_status(client, "http://far.test/") == 503
        assert "far.test" in "".join(proxied)


def test_a_socks_proxy_is_bypassed(proxied, monkeypatch):
    pytest.importorskip("socksio", reason="socksio is not installed: run `make setup` again")
    for name in ("all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"socks5://127.0.0.1:{free_port()}")
    bypass_proxies()
    with serve(200) as (site, _):
        assert [read_status(client, site) for client in ("urllib", "requests", "httpx")] == [200] * 3
    assert proxied == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, (LOCAL, LOCAL)),
        ({"NO_PROXY": "far.test"}, (f"far.test,{LOCAL}", f"far.test,{LOCAL}")),
        (
            {"no_proxy": " far.test, near.test "},
            (f"far.test,near.test,{LOCAL}", f"far.test,near.test,{LOCAL}"),
        ),
        ({"no_proxy": "", "NO_PROXY": "far.test"}, (f"far.test,{LOCAL}", f"far.test,{LOCAL}")),
        ({"no_proxy": "near.test", "NO_PROXY": "far.test"}, (f"near.test,{LOCAL}", f"far.test,{LOCAL}")),
        ({"no_proxy": "localhost"}, ("localhost,127.0.0.1,::1", "localhost,127.0.0.1,::1")),
        ({"NO_PROXY": "*"}, ("*", "*")),
    ],
)
def test_other_exemptions_are_kept(before, after, proxied, monkeypatch):
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    bypass_proxies()
    bypass_proxies()
    assert tuple(os.environ[name] for name in NO_PROXIES) == after
    assert httpx.Client()  # refuses addresses that it cannot parse
    assert all(map(should_bypass, ("127.0.0.1", "localhost", "::1")))


def should_bypass(host: str) -> bool:
    shown = f"[{host}]" if ":" in host else host
    return requests.utils.should_bypass_proxies(f"http://{shown}:5000/", None)


def test_without_a_proxy_nothing_changes(proxied, monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name)
    before = dict(os.environ)
    bypass_proxies()
    assert os.environ == before


def test_servers_are_seen_to_be_up_despite_a_proxy(proxied, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    port = free_port()
    command = ["http.server", str(port), "--bind", "127.0.0.1"]
    with run_server("test", port, "/", command) as address:
        assert address == f"http://127.0.0.1:{port}"
    assert proxied == []


def test_prefect_and_mlflow_are_reached_despite_a_proxy(proxied, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # which MLflow writes
    with serve(200) as (site, received), temporary_settings({PREFECT_API_URL: f"{site}/api"}):
        assert is_api_healthy()
        connect(site)
        assert {line.split()[1].partition("?")[0] for line in received} > {"/api/health"}
    assert proxied == []
