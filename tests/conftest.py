import os
import shutil
import signal
from pathlib import Path

import cv2
import pytest
import torch
from skimage.data import astronaut

from faceanim.inference.torch_backend import TorchNetwork
from faceanim.media.encode import write_mp4
from tests.helpers.driving import FPS, FRAMES, moving_face, write_tone
from tests.helpers.paths import SHARED
from tests.helpers.tiny import save_models


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real clips and photographs that lie beside the checkout; without them the test is skipped."""
    if not (SHARED / "faces" / "manifest.csv").is_file():
        pytest.skip("../shared/faces is not beside the checkout: the tests on real clips need it")
    return SHARED.resolve()


@pytest.fixture
def mediapipe(shared, monkeypatch):
    """MediaPipe's detector, by the weights that lie beside the checkout."""
    from faceanim.faces.landmark_detectors import MEDIAPIPE_WEIGHTS, MediaPipeDetector
    from faceanim.models.pretrained import WEIGHTS, WEIGHTS_VARIABLE

    if not (shared / "models" / WEIGHTS[MEDIAPIPE_WEIGHTS].file_name).is_file():
        pytest.skip("the MediaPipe weights are not in ../shared/models")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(shared / "models"))
    made = MediaPipeDetector()
    yield made
    made.close()


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory):
    """A copy of the project after `dvc repro`, and what that printed. Copy it to change it."""
    from tests.helpers.project import copy_project

    project = copy_project(tmp_path_factory.mktemp("reproduced"))
    return project, project.dvc("repro")


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory):
    """The address of a real Prefect server's API, on loopback."""
    from tests.helpers.servers import prefect_server

    with prefect_server(tmp_path_factory.mktemp("prefect")) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window; where there is none, the test is skipped."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("there is no Chromium: pages are not opened in it")
    # Its sandbox refuses to run as root, as whom containers run.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """The tests' networks are so small that they run slower on several threads."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def ctrl_c() -> None:
    """What a shell runs in the background ignores Ctrl-C, and so would every command that a test starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def network(model) -> TorchNetwork:
    return TorchNetwork.load(model, "cpu")


@pytest.fixture(scope="session")
def portrait(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("portrait") / "portrait.png"
    cv2.imwrite(str(path), cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture(scope="session")
def driving(tmp_path_factory) -> Path:
    """`moving_face` with sound."""
    folder = tmp_path_factory.mktemp("driving")
    write_tone(folder / "tone.m4a", float(FRAMES / FPS))
    write_mp4(folder / "driving.mp4", moving_face(), FPS, audio_from=folder / "tone.m4a")
    return folder / "driving.mp4"
