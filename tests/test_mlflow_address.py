"""Addresses of MLflow: relative ones refer to the project, wherever it is used from."""

from pathlib import Path

import pytest

from faceanim.mlflow_address import (
    find_tracking_uri,
    model_url,
    parse_sqlite_path,
    resolve_tracking_uri,
    run_url,
    sqlite_uri,
)
from tests.helpers.paths import PROJECT
from tests.helpers.videos import RUN


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)


@pytest.mark.parametrize(
    ("relative", "absolute"),
    [
        ("sqlite:///mlruns/mlflow.db", "sqlite:////project/mlruns/mlflow.db"),
        ("sqlite:///../50 %/mlflow.db", "sqlite:////project/../50 %/mlflow.db"),
        ("mlruns", "/project/mlruns"),
        ("sqlite:////other/mlflow.db", "sqlite:////other/mlflow.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("postgresql://me@127.0.0.1/mlflow", "postgresql://me@127.0.0.1/mlflow"),
    ],
)
def test_a_relative_address_refers_to_the_folder_of_the_parameters(relative, absolute):
    run = RUN.model_copy(update={"tracking_uri": relative})
    assert resolve_tracking_uri(run, Path("/project")) == absolute


def test_the_address_of_another_project_is_its_own(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    (tmp_path / "project/params.yaml").write_text((PROJECT / "profiles/sample.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(
        "DVC_ROOT", "/elsewhere"
    )  # of a stage in the current folder, which uses another project
    expected = f"sqlite:///{tmp_path}/project/mlruns/mlflow.db"
    assert find_tracking_uri(Path("project/params.yaml")) == expected
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///own.db")
    monkeypatch.delenv("DVC_ROOT")
    assert find_tracking_uri(Path("project/params.yaml")) == f"sqlite:///{tmp_path}/own.db"


@pytest.mark.parametrize("name", ["plain", "a b", "50 %20", "é", "a#b", "a?b"])
def test_a_database_in_a_folder_of_any_name_has_an_address(name):
    path = Path(f"/{name}/mlflow.db")
    assert parse_sqlite_path(sqlite_uri(path)) == path


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1", "sqlite:///file:x?mode=memory&uri=true", "sqlite://", "mlruns"]
)
def test_an_address_without_a_database_file(uri):
    assert parse_sqlite_path(uri) is None


def test_pages_show_models_and_not_language_models():
    query = "?workflowType=machine_learning"
    assert model_url("sqlite:///x.db", "a b") == f"http://127.0.0.1:5000/#/models/a%20b{query}"
    page = run_url("https://me:secret@mlflow.example.org/", "1", "abc")
    assert page == f"https://mlflow.example.org/#/experiments/1/runs/abc{query}"
