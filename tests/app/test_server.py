"""Address and model of the page's server, and the command without the extra."""

import socket
import sys

import pytest

from faceanim.errors import FaceanimError

pytest.importorskip("gradio", reason="gradio is not installed: there is no page")

from faceanim.app.server import check_address, display_name, is_loopback
from faceanim.cli import animate
from tests.helpers.servers import free_port


def test_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "127.8.9.1", "localhost", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "example.org")))


def test_the_displayed_name_of_a_model_is_the_end_of_its_path():
    assert display_name("models:/faceanim@champion") == "models:/faceanim@champion"
    assert display_name("/home/somebody/models/small") == "models/small"


def test_an_address_that_cannot_be_listened_on_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for host, number in (("127.0.0.1", port), ("192.0.2.1", 7860), ("no such host", 7860)):
            with pytest.raises(FaceanimError, match=f"^cannot listen on {host}:{number}: "):
                check_address(host, number)


def test_an_address_for_other_machines_is_a_warning(capsys):
    for host in ("127.0.0.1", "::1"):
        check_address(host, free_port())
        assert capsys.readouterr().err == ""
    check_address("0.0.0.0", free_port())
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: 0.0.0.0 may be reachable from other machines")


def test_without_gradio_the_command_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(FaceanimError, match=r"pip install 'faceanim\[app\]'"):
        animate.app()
