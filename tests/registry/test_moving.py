"""A registry that was moved, copied or renamed with its project."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from faceanim.config import load_params
from faceanim.inference.loading import resolve_model
from faceanim.mlflow_address import resolve_tracking_uri
from faceanim.mlflow_database import local_path, read_places, update_recorded_places
from faceanim.tracking import MlflowLogger, connect, download_model, open_run
from tests.helpers.commands import run_command
from tests.helpers.files import describe_files

WEIGHTS = "animation/weights.safetensors"
DATABASE = "mlruns/mlflow.db"


def recorded(project: Path) -> list[str]:
    with closing(sqlite3.connect(project / DATABASE)) as connection:
        return [item.place for item in read_places(connection) if item.place.startswith("file:")]


def add_experiment(project: Path, name: str, location: Path | str) -> None:
    client = connect(f"sqlite:///{project / DATABASE}")
    experiment = client.create_experiment(name, artifact_location=str(location))
    client.create_run(experiment)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["renamed", "with space, 50 % #1 é"])
def test_a_moved_project_reads_its_own_files_by_any_name(two_versions, tmp_path, name):
    moved = tmp_path / name / "faceanim"
    shutil.copytree(two_versions, moved)
    shown = run_command(moved, "models", "show", "champion")
    assert shown.code == 0, shown.stderr
    assert "faceanim version 1" in shown.stdout
    pulled = run_command(moved, "models", "pull", "2", "pulled")
    assert pulled.code == 0, pulled.stderr
    assert (moved / "pulled" / WEIGHTS).read_bytes() == (two_versions / "models2" / WEIGHTS).read_bytes()
    places = [local_path(place) for place in recorded(moved)]
    assert len(places) == 7  # an experiment, and for each version its run and its model, twice
    assert all(place.is_relative_to(moved / "mlruns") for place in places)
    assert all(place.exists() for place in places)


def test_a_copy_does_not_touch_the_original(project, tmp_path):
    connect(f"sqlite:///{project / DATABASE}")
    assert update_recorded_places(project / DATABASE) == 0
    copy = Path(shutil.copytree(project, tmp_path / "copy"))
    before = describe_files(project)
    champion = download_model("models:/faceanim@champion", f"sqlite:///{copy / DATABASE}")
    assert champion.is_relative_to(copy)
    run = load_params(copy / "params.yaml").run
    run = run.model_copy(update={"tracking_uri": resolve_tracking_uri(run, copy)})
    logger = open_run(run, "train_sr", {}, None)
    logger.log_image(2, "samples", np.zeros((4, 6, 3), np.uint8))
    logger.close("FINISHED")
    assert (copy / f"mlruns/artifacts/{logger.run_id}/artifacts/samples/000000002.png").is_file()
    assert describe_files(project) == before


def test_an_experiment_without_files_follows_as_well(project, tmp_path):
    database = project / DATABASE
    with closing(sqlite3.connect(database)) as connection, connection:
        for table in ("runs", "logged_models", "model_versions"):
            connection.execute(f"delete from {table}")
    shutil.rmtree(project / "mlruns/artifacts")
    assert update_recorded_places(database) == 1
    assert recorded(project) == [(project / "mlruns/artifacts").as_uri()]


def test_files_elsewhere_stay_where_they_are(project, tmp_path):
    elsewhere, missing = tmp_path / "disk/artifacts", tmp_path / "not mounted/artifacts"
    elsewhere.mkdir(parents=True)
    kept = [elsewhere.as_uri(), missing.as_uri(), "s3://bucket/faceanim/artifacts"]
    for number, location in enumerate(kept):
        add_experiment(project, f"experiment {number}", location)
    moved = project.rename(tmp_path / "moved")
    assert update_recorded_places(moved / DATABASE) > 0
    with closing(sqlite3.connect(moved / DATABASE)) as connection:
        places = [item.place for item in read_places(connection)]
    for location in kept:
        assert len([place for place in places if place.startswith(location)]) == 2  # experiment and run


def test_files_that_were_written_to_the_old_place_after_a_move_stay_reachable(project, tmp_path):
    database = project / DATABASE
    update_recorded_places(database)
    client = connect(f"sqlite:///{database}")
    (version,) = client.search_model_versions("version_number = 2")
    run = client.get_run(version.run_id)
    moved = project.rename(tmp_path / "moved")
    # As an earlier release leaves it that registered the second version after the move.
    written = local_path(run.info.artifact_uri)
    written.parent.parent.mkdir(parents=True)
    (moved / written.relative_to(project)).parent.rename(written.parent)
    update_recorded_places(moved / DATABASE)
    assert run.info.artifact_uri in recorded(moved)
    assert sum(place.startswith(moved.as_uri()) for place in recorded(moved)) == 6


def test_a_folder_that_is_mounted_twice_has_not_moved(project, tmp_path):
    update_recorded_places(project / DATABASE)
    (tmp_path / "link").symlink_to(project)
    before = recorded(project)
    assert update_recorded_places(tmp_path / "link" / DATABASE) == 0
    model = download_model("models:/faceanim@champion", f"sqlite:///{tmp_path}/link/{DATABASE}")
    assert json.loads((model / "animation/config.json").read_text())
    assert recorded(project) == before


def test_a_training_goes_on_while_the_folder_is_opened_under_another_path(project, tmp_path):
    uri = f"sqlite:///{project / DATABASE}"
    client = connect(uri)
    experiment = client.get_experiment_by_name("faceanim").experiment_id
    logger = MlflowLogger(client, experiment, client.create_run(experiment).info.run_id, resumed=False)
    with closing(sqlite3.connect(project / DATABASE)) as connection, connection:
        for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
            connection.execute(f"update {table} set {column} = replace({column}, ?, '/app')", (str(project),))
    logger.log_image(2, "samples", np.zeros((4, 6, 3), np.uint8))
    assert (project / f"mlruns/artifacts/{logger.run_id}/artifacts/samples/000000002.png").is_file()


def test_the_default_model_is_found_from_another_folder(project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = describe_files(tmp_path)
    model = resolve_model("models:/faceanim@champion", project / "params.yaml")
    assert model.is_relative_to(project)
    assert set(describe_files(tmp_path)) == set(before)
