import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from faceanim.errors import FaceanimError
from faceanim.models.pretrained import WEIGHTS, Weights, fetch_weights

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "w.bin").write_bytes(CONTENT)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEANIM_WEIGHTS", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.mark.parametrize("digits", [8, 64])
def test_fetched_once_and_checked(server, folder, tmp_path, digits):
    weights = Weights(f"{server}/w.bin", SHA256[:digits])
    assert fetch_weights("w", weights).read_bytes() == CONTENT
    (tmp_path / "site" / "w.bin").unlink()
    assert fetch_weights("w", weights) == folder / "w.bin"


def test_another_file_is_refused_and_not_kept(server, folder):
    with pytest.raises(FaceanimError, match="another SHA-256"):
        fetch_weights("w", Weights(f"{server}/w.bin", "0" * 64))
    assert list(folder.iterdir()) == []


def test_a_wrong_file_in_the_folder_is_refused(folder):
    folder.mkdir()
    (folder / "face_landmarker.task").write_bytes(b"something else")
    with pytest.raises(FaceanimError, match="differs from the published mediapipe_face_landmarker weights"):
        fetch_weights("mediapipe_face_landmarker")


@pytest.mark.parametrize("address", ["{server}/none.bin", "http://127.0.0.1:9/w.bin"])
def test_a_failed_download_says_what_to_do(server, folder, address):
    weights = Weights(address.format(server=server), SHA256)
    with pytest.raises(FaceanimError) as caught:
        fetch_weights("w", weights)
    for part in (weights.address, SHA256, str(folder), "FACEANIM_WEIGHTS"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_is_fetched_if_downloading_is_disabled(server, folder):
    with pytest.raises(FaceanimError, match="downloading is disabled; download"):
        fetch_weights("w", Weights(f"{server}/w.bin", SHA256), fetch=False)
    assert not folder.exists()


def test_the_table_is_pinned():
    for name, weights in WEIGHTS.items():
        assert weights.address.startswith("https://"), name
        assert len(weights.sha256) in (8, 64), name
