import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import pytest
from skimage.data import astronaut

from tests.helpers.encoding import encode
from tests.helpers.servers import free_port, wait_for
from tests.helpers.tiny import save_models
from tests.helpers.videos import moving


class App(NamedTuple):
    """A running page.

    Attributes:
        address: URL of the page.
        temporary: folder of its temporary files.
        log: file with its output.
    """

    address: str
    temporary: Path
    log: Path


@pytest.fixture(scope="package")
def app(tmp_path_factory):
    """The page, served by the command; when the server ends, no uploaded file is left."""
    pytest.importorskip("gradio", reason="gradio is not installed: there is no page")
    folder = tmp_path_factory.mktemp("app")
    model, temporary, log = save_models(folder / "model", encoder="plain"), folder / "tmp", folder / "log"
    temporary.mkdir()
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "faceanim", "app", "--model", str(model), "--port", str(port)]
    # A new home, so that the examples are rendered.
    environment = os.environ | {"HOME": str(folder), "TMPDIR": str(temporary)}
    with log.open("w") as out:
        server = subprocess.Popen(
            [*command, "--device", "cpu"], cwd=folder, env=environment, stdout=out, stderr=out
        )
    try:
        wait_for(address, server, log)
        yield App(address, temporary, log)
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(30)
    assert (code, [*temporary.iterdir()]) == (0, [])
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="session")
def portrait(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("portrait") / "portrait.png"
    cv2.imwrite(str(path), cv2.cvtColor(astronaut()[:300, 100:400], cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture(scope="session")
def video(tmp_path_factory) -> Callable[[int], Path]:
    """Function that returns a driving video with the given number of frames."""
    folder = tmp_path_factory.mktemp("videos")

    def written(frames: int) -> Path:
        path = folder / f"{frames}.mp4"
        if not path.exists():
            path.write_bytes(encode("mp4", list(moving(frames, (180, 220))), preset="ultrafast"))
        return path

    return written
