import shutil
from pathlib import Path

import pytest

from tests.helpers.tiny import save_models


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models"), encoder="plain")


@pytest.fixture(scope="session")
def other_models(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models"), seed=1, encoder="plain")


@pytest.fixture
def uri(tmp_path, monkeypatch, empty_store):
    """Address of an empty store."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlruns").mkdir()
    shutil.copy(empty_store, tmp_path / "mlruns")
    return f"sqlite:///{tmp_path}/mlruns/mlflow.db"


@pytest.fixture
def project(two_versions, tmp_path, monkeypatch) -> Path:
    """A copy of the project with two versions; tables are printed wide enough for a whole row."""
    monkeypatch.setenv("COLUMNS", "200")
    return Path(shutil.copytree(two_versions, tmp_path / "project"))
