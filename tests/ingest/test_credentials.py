import stat
import sys
from pathlib import Path

import pytest

from faceanim.errors import FaceanimError
from faceanim.ingest import credentials
from faceanim.ingest.credentials import build_access_options, check_prerequisites
from faceanim.ingest.ytdlp import FetchedFile, FetchError, download_url
from faceanim.schemas import Reason
from tests.helpers.youtube import YOUTUBE

COOKIE = "127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tsecret-cookie\n"


def get(url, folder, name="v"):
    """Download a file; return it, or the reason, transience and delay of the failure."""
    try:
        return download_url(url, name, folder / "out", max_height=720, stall_s=1.0)
    except FetchError as error:
        return error.reason, error.is_transient, error.retry_after_s


def test_cookies_are_sent_and_their_file_is_not_changed(site, tmp_path, monkeypatch, capfd):
    cookies = tmp_path / "cookies.txt"
    cookies.write_text(f"\ufeff# Netscape HTTP Cookie File\n\n#HttpOnly_{COOKIE}")
    before = cookies.read_bytes(), cookies.stat().st_mtime_ns
    monkeypatch.setenv(credentials.COOKIES_VARIABLE, str(cookies))
    site.headers["Set-Cookie"] = "session=another"
    check_prerequisites([site.url("ok", "v.mp4")])
    get(site.url("404", "v.mp4"), tmp_path)
    assert isinstance(get(site.url("ok", "v.mp4"), tmp_path), FetchedFile)
    assert {headers["Cookie"] for headers in site.request_headers} == {"session=secret-cookie"}
    assert before == (cookies.read_bytes(), cookies.stat().st_mtime_ns)
    assert "secret" not in "".join(capfd.readouterr())


def test_a_proxy_is_used_and_its_password_is_not_shown(site, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv(credentials.PROXY_VARIABLE, f"http://user:secret@127.0.0.1:{site.port}")
    check_prerequisites(["http://far.test/v.mp4"])
    assert isinstance(get("http://far.test/ok/9/v.mp4", tmp_path), FetchedFile)
    assert all("Proxy-Authorization" in headers for headers in site.request_headers)
    for proxy in ("http://user:secret@127.0.0.1:9", "socks5://user:secret@127.0.0.1:9"):
        monkeypatch.setenv(credentials.PROXY_VARIABLE, proxy)
        check_prerequisites(["http://far.test/v.mp4"])
        assert get("http://far.test/ok/9/w.mp4", tmp_path, "w") == (Reason.NETWORK, True, None)
    assert "secret" not in "".join(capfd.readouterr())


def test_a_proxy_is_not_used_for_this_machine(site, tmp_path, monkeypatch):
    monkeypatch.setenv(credentials.PROXY_VARIABLE, "http://127.0.0.1:9")  # where nothing listens
    for url in (site.url("ok", "v.mp4"), site.url("ok", "w.mp4").replace("127.0.0.1", "localhost")):
        assert isinstance(get(url, tmp_path), FetchedFile)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (credentials.COOKIES_VARIABLE, "none.txt", "cannot read none.txt: missing or not a text file"),
        (credentials.COOKIES_VARIABLE, "bad.txt", "line 2 of bad.txt is not a cookie"),
        (credentials.COOKIES_VARIABLE, "binary.txt", "cannot read binary.txt"),
        (
            credentials.COOKIES_VARIABLE,
            "headless.txt",
            "headless.txt is not a cookies file in Netscape format",
        ),
        (credentials.PROXY_VARIABLE, "user:secret@host:80", "not an address such as http://host:port"),
        (credentials.PROXY_VARIABLE, "foo://user:secret@host:80", "not an address"),
        (credentials.PROXY_VARIABLE, "http://user:secret@host:port", "not an address"),
        (credentials.PROXY_VARIABLE, "http://user:secret@:80", "not an address"),
    ],
)
def test_invalid_access_options_are_reported_without_secrets(tmp_path, monkeypatch, variable, value, message):
    monkeypatch.chdir(tmp_path)
    Path("bad.txt").write_text(f"{COOKIE}session=secret\n")
    Path("headless.txt").write_text(COOKIE)
    Path("binary.txt").write_bytes(b"\xff\xfe\0")
    monkeypatch.setenv(variable, value)
    check_prerequisites(["videos/v.mp4"])  # local paths need no access options
    with pytest.raises(FaceanimError, match=message) as caught:
        check_prerequisites(["http://far.test/v.mp4"])
    assert "secret" not in str(caught.value)


def test_the_runtime_of_the_environment_is_used(monkeypatch):
    monkeypatch.setenv("PATH", "")
    check_prerequisites([f"{YOUTUBE}x"])
    assert build_access_options()["js_runtimes"]["deno"] == {
        "path": str(Path(sys.executable).parent / "deno")
    }


@pytest.mark.parametrize("version", [None, "deno 1.46.3"])
def test_youtube_requires_a_javascript_runtime(tmp_path, monkeypatch, version):
    if version:
        (tmp_path / "deno").write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / "deno").chmod(stat.S_IRWXU)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "")
    check_prerequisites(["http://far.test/v.mp4", "videos/v.mp4"])
    for url in (f"{YOUTUBE}x", "https://youtu.be/x"):
        with pytest.raises(FaceanimError, match="pip install deno"):
            check_prerequisites([url])


def test_a_missing_ffmpeg_is_warned_about_once(monkeypatch, caplog):
    monkeypatch.setenv("PATH", "")
    check_prerequisites([f"{YOUTUBE}x"])
    assert not caplog.records
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/none/ffmpeg")
    check_prerequisites([f"{YOUTUBE}x", f"{YOUTUBE}y"])
    assert [record.message for record in caplog.records] == [
        "download: ffmpeg not found, so some formats cannot be fetched; install it or imageio-ffmpeg"
    ]
