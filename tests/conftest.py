import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch
from filelock import FileLock
from skimage.data import astronaut

from faceanim.inference.torch_backend import TorchNetwork
from faceanim.media.encode import write_mp4
from tests.helpers.driving import FPS, FRAMES, moving_face, write_tone
from tests.helpers.environment import isolate
from tests.helpers.paths import SHARED
from tests.helpers.tiny import save_models

SHARED_BY_FILES = ("reproduced", "prefect_api", "app")
"""Fixtures that take so long to make that files using one share a worker of pytest-xdist."""


def pytest_configure(config: pytest.Config) -> None:
    """Hide the user's environment and home folder, before any test is imported."""
    if not hasattr(config, "workerinput"):  # the workers of pytest-xdist inherit both
        home = tempfile.TemporaryDirectory(prefix="faceanim-tests-", ignore_cleanup_errors=True)
        config.add_cleanup(home.cleanup)
        isolate(Path(home.name))


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Run files that share a fixture of `SHARED_BY_FILES` on one worker, and first; other files on any."""
    groups = {item.location[0]: item.location[0] for item in items}
    for fixture in reversed(SHARED_BY_FILES):
        groups |= {item.location[0]: fixture for item in items if fixture in item.fixturenames}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item.location[0]]))
    order = {group: number for number, group in enumerate((*SHARED_BY_FILES, *sorted(groups)))}
    items.sort(key=lambda item: order[groups[item.location[0]]])


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the real clips and photographs beside the checkout; tests are skipped where it is absent."""
    if not (SHARED / "faces" / "manifest.csv").is_file():
        pytest.skip("../shared/faces is not beside the checkout: the tests on real clips need it")
    return SHARED.resolve()


@pytest.fixture
def mediapipe(shared, monkeypatch):
    """MediaPipe's detector, with the weights beside the checkout."""
    from faceanim.faces.landmark_detectors import MEDIAPIPE_WEIGHTS, MediaPipeDetector
    from faceanim.models.pretrained import WEIGHTS, WEIGHTS_VARIABLE

    if not (shared / "models" / WEIGHTS[MEDIAPIPE_WEIGHTS].file_name).is_file():
        pytest.skip("the MediaPipe weights are not in ../shared/models")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(shared / "models"))
    detector = MediaPipeDetector()
    yield detector
    detector.close()


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory):
    """A copy of the project after `dvc repro`, and its output. Tests that change it must copy it."""
    from tests.helpers.project import copy_project

    project = copy_project(tmp_path_factory.mktemp("reproduced"))
    return project, project.dvc("repro")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory, worker_id):
    """Function that returns the file of a name, made by one worker of pytest-xdist for all of them."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder if worker_id == "master" else folder.parent

    def made_once(name: str, make: Callable[[Path], None]) -> Path:
        path = folder / name
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                make(path)
        return path

    return made_once


@pytest.fixture(scope="session")
def awkward(made_once) -> Path:
    """Folder of the inputs of `../shared/awkward/make.sh`; tests are skipped where they cannot be made."""
    from tests.helpers.awkward import find_obstacle, make_awkward

    if obstacle := find_obstacle():
        pytest.skip(f"{obstacle}: the awkward inputs cannot be made")
    return made_once("awkward", make_awkward)


@pytest.fixture(scope="session")
def empty_store(made_once) -> Path:
    """Database of an empty MLflow store, to be copied: MLflow takes seconds to create its tables."""
    from faceanim.tracking import connect

    return made_once("mlflow.db", lambda path: connect(f"sqlite:///{path}"))


@pytest.fixture(scope="session")
def two_versions(made_once, empty_store) -> Path:
    """Folder of a project with a registry of two versions, renamed since it was made. Must be copied."""
    from tests.helpers.registry_store import register_two

    def make(folder: Path) -> None:
        made = folder.with_name("made")
        (made / "mlruns").mkdir(parents=True)
        shutil.copy(empty_store, made / "mlruns")
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            register_two(made)
        made.rename(folder)

    return made_once("two_versions", make)


@pytest.fixture(scope="session")
def prefect_home(made_once, tmp_path_factory) -> Callable[[], Path]:
    """Function that makes a home for a Prefect server, whose database has its tables: they take 8 s."""
    from tests.helpers.servers import create_prefect_tables

    def prefect_home() -> Path:
        home = tmp_path_factory.mktemp("prefect")
        shutil.copy(made_once("prefect.db", create_prefect_tables), home)
        return home

    return prefect_home


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium; the test is skipped where it is not installed."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("Chromium is not installed: pages are not opened in a browser")
    # Its sandbox refuses to run as root, the user of most containers.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Use one thread: the networks of the tests are so small that several threads are slower."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def ctrl_c() -> None:
    """Restore the handler of Ctrl-C: background processes of a shell, and their children, ignore it."""
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
    """Video of `moving_face` with sound."""
    folder = tmp_path_factory.mktemp("driving")
    write_tone(folder / "tone.m4a", float(FRAMES / FPS))
    write_mp4(folder / "driving.mp4", moving_face(), FPS, audio_from=folder / "tone.m4a")
    return folder / "driving.mp4"
