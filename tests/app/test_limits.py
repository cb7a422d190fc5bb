"""Requests that the page refuses, made by Gradio's client and as plain HTTP; the page survives them."""

import json
import socket
import urllib.request
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceanim.media.encode import write_mp4
from faceanim.media.video import probe
from tests.helpers.encoding import png_claiming
from tests.helpers.hostile_inputs import hostile_pictures, hostile_videos

pytest.importorskip("gradio", reason="gradio is not installed: there is no page")

from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

pytestmark = [pytest.mark.slow, pytest.mark.server]

META = {"_type": "gradio.FileData"}
CHOICES = ["largest", "relative", 1, 1, "face", "photograph", False, False, "mp4", None]
NO_CONSENT = "Please confirm first that everyone shown has agreed to this."


@pytest.fixture(scope="module")
def client(app):
    return Client(app.address, verbose=False)


def ask(client, portrait, video, consent=True, **given):
    """Return the result, or the message of the refusal."""
    files = [file if isinstance(file, dict) else handle_file(str(file)) for file in (portrait, video)]
    try:
        return client.predict(*files, consent, **given, api_name="/animate")
    except AppError as error:
        return str(error)


def still(path: Path, frames: int, size: tuple[int, int], fps: int = 1) -> Path:
    """Write a black video, and return its path."""
    write_mp4(path, (np.zeros((size[1], size[0], 3), np.uint8) for _ in range(frames)), Fraction(fps))
    return path


def is_a_sentence(said: object) -> bool:
    """Check that a message has the form of a sentence for users, without technical details."""
    return (
        isinstance(said, str)
        and said[0].isupper()
        and said[-1] in ".?"
        and len(said) < 200
        and not any(sign in said for sign in ("\n", "/tmp", "Error", "Traceback", "went wrong"))
    )


def test_the_interface_works_with_consent_only(client, portrait, video):
    for consent in (False, None, "yes", 1):
        assert ask(client, portrait, video(8), consent) == NO_CONSENT
    made = ask(client, portrait, video(8))
    assert probe(Path(made["file"])).frames == 8
    assert made["about"] == "8 frames, 512×512, 0.3 s"


def test_a_plain_request_is_refused_without_consent(app):
    assert said_to(app, [None, None, False, *CHOICES]) == NO_CONSENT
    assert is_a_sentence(said_to(app, [None, None]))
    assert is_a_sentence(said_to(app, [1, "x", True, *CHOICES]))


def test_what_is_too_large_is_refused(client, portrait, tmp_path, video):
    (tmp_path / "large.png").write_bytes(png_claiming(12_000, 12_000))
    refused = {
        "144 megapixels, the limit is 100": (tmp_path / "large.png", video(8)),
        "lasts 61 seconds, the limit is 60": (portrait, still(tmp_path / "long.mp4", 61, (64, 64))),
        "has 3660 frames, the limit is 3600": (portrait, still(tmp_path / "fast.mp4", 3660, (64, 64), 100)),
        "is 1922×64, the limit is 1920 pixels": (portrait, still(tmp_path / "wide.mp4", 2, (1922, 64))),
    }
    for expected, files in refused.items():
        said = ask(client, *files)
        assert expected in said
        assert is_a_sentence(said)
    said = ask(client, portrait, still(tmp_path / "gif.mp4", 8, (64, 64)), kind="gif", loop=True)
    assert said == "Cannot write a GIF of 16 seconds: the limit is 15; choose MP4."


def test_an_upload_that_is_too_large_is_refused(app, tmp_path):
    with (tmp_path / "huge.mp4").open("wb") as file:
        file.truncate(201 * 2**20)
    # The server refuses it before it has received all of it.
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="huge.mp4"\r\n\r\n'
    host, port = app.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        length = len(head) + 201 * 2**20 + len(b"\r\n--x--\r\n")
        connection.sendall(
            f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {length}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode()
            + head
        )
        try:
            connection.sendfile((tmp_path / "huge.mp4").open("rb"))
            connection.sendall(b"\r\n--x--\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = connection.recv(4096).decode()
    assert " 413 " in answer.splitlines()[0]


def test_only_uploads_are_read(app, client, portrait, video):
    uploaded = upload(app, video(8))
    for path in (str(portrait), f"{app.temporary}/../log", "portrait.png"):
        for file in ({"path": path}, {"path": path, "meta": META}):
            said = said_to(app, [file, {"path": uploaded, "meta": META}, True, *CHOICES])
            assert said == "The request contains a value that the page does not accept."


def test_addresses_are_not_fetched(app, video):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/portrait.png"
        file = {"path": address, "url": address, "meta": META}
        for given in (file, [file], {"picture": file}):
            said = said_to(app, [given, None, True, *CHOICES])
            assert said == "Please upload the file itself; URLs are not fetched."
        with pytest.raises(TimeoutError):
            server.accept()


def test_odd_choices_are_one_sentence(client, portrait, video):
    odd: dict[str, dict[str, Any]] = {
        "Invalid face: ": {"face": "somebody"},
        "Cannot select face 7: ": {"face": "7"},
        "Scale: ": {"scale": 1e9},
        "Smoothing: ": {"smoothing": "much"},
        "Kind: ": {"kind": "exe"},
        "Show: ": {"show": ["face"]},
        "Loop: ": {"loop": 100},
    }
    for expected, given in odd.items():
        said = ask(client, portrait, video(8), **given)
        assert said.startswith(expected)
        assert is_a_sentence(said)


def test_hostile_files_are_one_sentence_each_and_the_page_survives(client, portrait, video, tmp_path):
    pictures, videos = list(hostile_pictures()), hostile_videos(per_kind=2)
    good = video(8)
    for name, content in [*pictures, *videos]:
        (tmp_path / name).write_bytes(content)
    for name, _ in pictures:
        assert is_a_sentence(ask(client, tmp_path / name, good)), name
    for name, _ in videos:
        said = ask(client, portrait, tmp_path / name)
        # Some can be read in spite of the damage.
        assert is_a_sentence(said) or probe(Path(said["file"])).frames > 0, name
    assert probe(Path(ask(client, portrait, good)["file"])).frames == 8


def said_to(app, data: list) -> str:
    """Return the error of a plain HTTP request for an animation."""
    address = f"{app.address}/gradio_api/call/animate"
    body = json.dumps({"data": data}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{address}/{event}", timeout=20) as answer:
        kind, data_line = answer.read().decode().strip().split("\n")
    assert kind == "event: error"
    return json.loads(data_line.removeprefix("data: "))["error"]


def upload(app, file: Path) -> str:
    """Upload a file, and return its path on the server."""
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="video.mp4"\r\n\r\n'
    body = head + file.read_bytes() + b"\r\n--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    request = urllib.request.Request(f"{app.address}/gradio_api/upload", body, kind)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)[0]
