"""The page behind a reverse proxy that shows it under a path."""

import http.client
import re
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urljoin

import pytest

from faceanim.errors import FaceanimError

pytest.importorskip("gradio", reason="gradio is not installed: there is no page")

from gradio_client import Client
from gradio_client.exceptions import AppError

from faceanim.app import examples
from faceanim.app.server import parse_root_path, start_page
from tests.helpers.servers import free_port

ROOT = "/animate"


class StrippingProxy(BaseHTTPRequestHandler):
    """Proxy that removes `ROOT` and answers 404 to everything outside of it, as usual servers do."""

    target = 0

    def do_GET(self):
        if not self.path.startswith(f"{ROOT}/"):
            self.send_error(404)
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.target)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.removeprefix(ROOT)
        connection.request(self.command, path, body, {**self.headers, "Connection": "close"})
        answer = connection.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.end_headers()
        while part := answer.read1():
            self.wfile.write(part)
        connection.close()

    do_POST = do_HEAD = do_GET

    def log_message(self, *arguments):
        """Log nothing."""


@pytest.fixture
def proxied(network, tmp_path, monkeypatch):
    """Address under which a proxy shows the page."""
    monkeypatch.setattr(examples, "find_spec", lambda name: None)  # no examples: they would be rendered
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    StrippingProxy.target = free_port()
    page = start_page(network, "model", "127.0.0.1", StrippingProxy.target, tmp_path, ROOT)
    with ThreadingHTTPServer(("127.0.0.1", 0), StrippingProxy) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{proxy.server_port}{ROOT}/"
        page.close(verbose=False)
        proxy.shutdown()
        thread.join()


def fetch(address):
    """Fetch an address; return its status and text."""
    try:
        with urllib.request.urlopen(address) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, ""


@pytest.mark.server
def test_files_and_the_queue_are_found_under_the_path(proxied):
    _, html = fetch(proxied)
    assert f'"root":"{proxied.removesuffix("/")}"' in html
    # Gradio also names /manifest.json, for pages that can be installed, which this one is not.
    links = [link for link in re.findall(r'(?:src|href)="([^"]+)"', html) if link.startswith(".")]
    assert links
    assert {link: fetch(urljoin(proxied, link))[0] for link in links} == dict.fromkeys(links, 200)
    client = Client(proxied, verbose=False)
    with pytest.raises(AppError, match="Please confirm first"):  # the handler's answer, through the queue
        client.predict(None, None, False, api_name="/animate")


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        ("", ""),
        ("/", ""),
        ("/animate", "/animate"),
        ("/a/b/", "/a/b"),
        ("https://example.org/animate/", "https://example.org/animate"),
    ],
)
def test_a_root_path_is_a_path_or_an_address(given, parsed):
    assert parse_root_path(given) == parsed


@pytest.mark.parametrize(
    "given", ["animate", "//example.org", "ftp://x/y", "https://", "/a b", "/a?b", "http://["]
)
def test_other_root_paths_are_refused(given):
    with pytest.raises(FaceanimError, match="invalid --root-path"):
        parse_root_path(given)
