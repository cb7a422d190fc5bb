"""A download without a network says so at once."""

import pytest

from faceanim.errors import FaceanimError, TemporaryError
from faceanim.ingest.credentials import PROXY_VARIABLE
from faceanim.ingest.network import Server, check_network, find_server
from faceanim.models.pretrained import WEIGHTS_VARIABLE, Weights, fetch_weights
from tests.helpers.downloads import changed, index_addresses, reasons, run

UNKNOWN = "http://nowhere.invalid/v.mp4"
"""Address whose name never resolves (RFC 6761)."""
CLOSED = "http://127.0.0.1:9/v.mp4"
SLOW = {"sleep_s": 3600.0, "retries": 5, "backoff_s": 60.0}
"""Pauses and retries of which none may be waited for."""


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("urls", "says"),
    [
        ({"v": CLOSED}, r"cannot reach 127\.0\.0\.1:9 \(connection refused\)"),
        ({"v": UNKNOWN}, r"cannot reach nowhere\.invalid:80 \("),
        ({"v": UNKNOWN, "w": CLOSED}, r"cannot reach nowhere\.invalid:80 \(.*\), nor 1 other servers"),
    ],
)
def test_unreachable_servers_end_the_stage_before_any_pause(tmp_path, monkeypatch, urls, says):
    monkeypatch.chdir(tmp_path)
    index_addresses(**urls)
    with pytest.raises(TemporaryError, match=says) as caught:
        run(changed(**SLOW))
    assert "nothing is lost" in str(caught.value)
    assert not list(tmp_path.glob("data/videos/*.parquet"))  # no video counts as failed


def test_an_unreachable_server_among_others_is_retried(site):
    index_addresses(ok=site.url("ok", "v.mp4"), once=site.url("reset", "w.mp4", times=2), closed=CLOSED)
    _, rows = run(changed(retries=1, backoff_s=0.01))
    assert reasons(rows) == {"ok": "none", "once": "none", "closed": "network"}
    assert rows["closed"]["attempts"] == 2


def test_without_stale_addresses_nothing_is_contacted(site, monkeypatch):
    index_addresses(v=site.url("ok", "v.mp4"))
    run()
    monkeypatch.setenv(PROXY_VARIABLE, "http://127.0.0.1:9")
    assert reasons(run(changed(**SLOW))[1]) == {"v": "none"}


@pytest.mark.parametrize(
    ("variables", "server"),
    [
        ({}, Server("far.test", 443, False)),
        ({"https_proxy": "http://user:secret@near.test:3128"}, Server("near.test", 3128, True)),
        ({"https_proxy": "near.test:3128"}, Server("near.test", 3128, True)),
        ({"all_proxy": "socks5://near.test"}, Server("near.test", 1080, True)),
        ({"https_proxy": "http://near.test", "no_proxy": "far.test"}, Server("far.test", 443, False)),
        (
            {"https_proxy": "http://near.test", PROXY_VARIABLE: "socks5h://own.test"},
            Server("own.test", 1080, True),
        ),
    ],
)
def test_the_server_is_a_proxy_if_one_is_set(monkeypatch, variables, server):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_server("https://far.test/watch?v=x") == server


def test_an_unreachable_proxy_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv(PROXY_VARIABLE, "http://user:secret@127.0.0.1:9")
    with pytest.raises(TemporaryError, match=r"cannot reach the proxy 127\.0\.0\.1:9") as caught:
        check_network(["https://far.test/v.mp4"])
    assert "secret" not in str(caught.value)


def test_addresses_without_a_host_are_left_to_the_download():
    check_network(["http:///v.mp4", "http://[/v.mp4", "http://host:port/v.mp4", "ftp://far.test/v.mp4"])


@pytest.mark.parametrize("address", [CLOSED, UNKNOWN])
def test_weights_without_a_network_say_so_at_once(tmp_path, monkeypatch, address):
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path))
    with pytest.raises(FaceanimError, match=r"^cannot download the vgg19 weights: .*; download http"):
        fetch_weights("vgg19", Weights(address, "0" * 8))
