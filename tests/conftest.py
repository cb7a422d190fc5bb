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


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """The tests' networks are so small that they run slower on several threads."""
    torch.set_num_threads(1)
