import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).parents[1] / "../shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real clips and photographs that lie beside the checkout; without them the test is skipped."""
    if not (SHARED / "faces" / "manifest.csv").is_file():
        pytest.skip("../shared/faces is not beside the checkout: the tests on real clips need it")
    return SHARED.resolve()


@pytest.fixture
def mediapipe(shared, monkeypatch):
    """MediaPipe's detector, by the weights that lie beside the checkout."""
    from faceanim.data.weights import FOLDER_VARIABLE, WEIGHTS
    from faceanim.faces.detectors import MEDIAPIPE_WEIGHTS, MediaPipeDetector

    if not (shared / "models" / WEIGHTS[MEDIAPIPE_WEIGHTS].file_name).is_file():
        pytest.skip("the MediaPipe weights are not in ../shared/models")
    monkeypatch.setenv(FOLDER_VARIABLE, str(shared / "models"))
    made = MediaPipeDetector()
    yield made
    made.close()


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory):
    """A copy of the project after `dvc repro`, and what that printed. Copy it to change it."""
    from tests.project import copy_project

    project = copy_project(tmp_path_factory.mktemp("reproduced"))
    return project, project.dvc("repro")


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory):
    """The address of a real Prefect server's API, on loopback."""
    from tests.servers import prefect_server

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
