"""Reading a registry: from any folder, where nothing can be written, and without leaving anything behind."""

import multiprocessing
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from faceanim.errors import FaceanimError
from faceanim.inference.loading import DEFAULT_MODEL, resolve_model
from faceanim.mlflow_database import count_versions, open_snapshot, update_recorded_places
from faceanim.tracking import connect_for_reading, download_model
from tests.helpers.commands import run_command
from tests.helpers.files import describe_files

DATABASE = "mlruns/mlflow.db"
NOBODY = 65534
READERS = [("models",), ("models", "show", "challenger"), ("models", "compare", "challenger", "1")]


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """Another folder, which is the current one."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.slow
def test_every_reading_command_works_anywhere_and_leaves_nothing(project, empty_folder, monkeypatch):
    update_recorded_places(project / DATABASE)
    before = describe_files(project)
    for arguments in READERS:
        done = run_command(empty_folder, *arguments, "--params", str(project / "params.yaml"))
        assert done.code == 0, done.stderr
    for address in (f"sqlite:///{project / DATABASE}", f"sqlite:///../project/{DATABASE}"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        for arguments in READERS:
            done = run_command(empty_folder, *arguments)
            assert done.code == 0, done.stderr
        assert resolve_model(DEFAULT_MODEL).is_relative_to(project)
    assert describe_files(project) == before
    assert list(empty_folder.iterdir()) == []
    assert run_command(empty_folder, "models", "pull", "champion", "model").stdout == "model\n"
    assert [path.name for path in empty_folder.iterdir()] == ["model"]
    assert describe_files(project) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("models",), "params.yaml is missing and MLFLOW_TRACKING_URI is not set"),
        (("models", "promote", "1"), "params.yaml is missing and MLFLOW_TRACKING_URI is not set"),
        (("models", "--params", "other.yaml"), "other.yaml is missing and MLFLOW_TRACKING_URI is not set"),
        (("export", "out.onnx"), "`--model FOLDER` uses a folder with both networks"),
    ],
)
def test_outside_a_project_a_line_says_which_ways_there_are(empty_folder, arguments, says):
    done = run_command(empty_folder, *arguments)
    assert done.code == 1
    assert done.stderr.startswith("error: cannot find the registry: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize("command", [("models",), ("models", "promote", "1"), ("models", "rollback")])
def test_a_registry_that_does_not_exist_is_not_created(empty_folder, two_versions, command):
    shutil.copy(two_versions / "params.yaml", empty_folder)
    done = run_command(empty_folder, *command)
    assert done.code == 1
    assert done.stderr.startswith(f"error: there is no registry at sqlite:///{empty_folder}/mlruns/mlflow.db")
    assert [path.name for path in empty_folder.iterdir()] == ["params.yaml"]


def test_a_version_that_does_not_exist(project):
    for name, says in (("3", "faceanim has no version 3"), ("best", "faceanim has no best")):
        done = run_command(project, "models", "show", name)
        assert (done.code, done.stderr.count("\n")) == (1, 1)
        assert says in done.stderr


def test_runs_are_named_by_their_versions(project):
    client = connect_for_reading(f"sqlite:///{project / DATABASE}")
    experiment = client.get_experiment_by_name("faceanim")
    names = [run.info.run_name for run in client.search_runs([experiment.experiment_id])]
    assert sorted(names) == ["version 1, abc", "version 2, abc"]
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def read_as_nobody(project: Path, results: "multiprocessing.SimpleQueue[object]") -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    writable = os.access(project, os.W_OK) or os.access(project / DATABASE, os.W_OK)
    client = connect_for_reading(f"sqlite:///{project / DATABASE}")
    numbers = sorted(int(version.version) for version in client.search_model_versions("name = 'faceanim'"))
    model = download_model("models:/faceanim@champion", f"sqlite:///{project / DATABASE}")
    results.put((writable, numbers, (model / "animation/config.json").is_file()))


def test_a_read_only_project_is_read_by_another_user(two_versions):
    # Root may write anywhere, so it reads as another user, who may not enter pytest's folder.
    with tempfile.TemporaryDirectory(prefix="faceanim-read-only-") as name:
        project = Path(shutil.copytree(two_versions, Path(name) / "project"))
        (project / f"{DATABASE}.lock").unlink(missing_ok=True)
        for path in [Path(name), *Path(name).rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        before = describe_files(Path(name))
        # A fork: importing MLflow in a new process takes seconds.
        processes = multiprocessing.get_context("fork")
        results = processes.SimpleQueue()
        process = processes.Process(target=read_as_nobody, args=(project, results))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert results.get() == (False, [1, 2], True)
        assert describe_files(Path(name)) == before
        for path in [Path(name), *Path(name).rglob("*")]:
            path.chmod(0o755)


def write_rows(connection: sqlite3.Connection, count: int) -> None:
    connection.executemany("insert into model_versions values (?)", [("x" * 1000,)] * count)


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_database_whose_writer_was_killed_is_read_without_repairing_it(tmp_path, mode):
    (tmp_path / "left").mkdir()
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as connection:
        connection.execute(f"pragma journal_mode = {mode}")
        connection.execute("create table model_versions (source text)")
        write_rows(connection, 3)
        if mode == "delete":  # in the middle of a transaction that has reached the file
            connection.execute("pragma cache_size = 2")
            connection.execute("begin")
            write_rows(connection, 1000)
        for path in tmp_path.glob("mlflow.db*"):
            shutil.copy(path, tmp_path / "left")
    before = describe_files(tmp_path / "left")
    assert len(before) > 2  # a log or journal lies beside the database
    database = tmp_path / "left/mlflow.db"
    assert count_versions(database) == 3
    with closing(sqlite3.connect(open_snapshot(database).removeprefix("sqlite:///"), uri=True)) as snapshot:
        assert snapshot.execute("select count(*) from model_versions").fetchone() == (3,)
    assert describe_files(tmp_path / "left") == before


def test_a_file_that_is_no_database_is_one_line(tmp_path):
    (tmp_path / "mlflow.db").write_text("no database " * 100)
    with pytest.raises(FaceanimError, match=r"cannot connect to MLflow at sqlite:///.*not a database"):
        connect_for_reading(f"sqlite:///{tmp_path}/mlflow.db")


@pytest.fixture
def clone(two_versions, tmp_path):
    """A clone after `dvc pull`: the trained networks, but no registry."""
    folder = tmp_path / "clone"
    folder.mkdir()
    shutil.copy(two_versions / "params.yaml", folder)
    shutil.copytree(two_versions / "models1", folder / "models")
    return folder


def test_a_clone_uses_the_networks_that_it_has(clone, capsys):
    assert resolve_model(DEFAULT_MODEL, clone / "params.yaml") == clone / "models"
    assert capsys.readouterr().err == f"no registry; using {clone}/models/\n"
    with pytest.raises(FaceanimError, match="there is no registry"):  # another model was asked for
        resolve_model("models:/faceanim/7", clone / "params.yaml")
    assert not (clone / "mlruns").exists()


def test_a_clone_whose_registry_is_still_empty_uses_them_too(clone, empty_store, capsys):
    (clone / "mlruns").mkdir()
    shutil.copy(empty_store, clone / "mlruns")
    assert resolve_model(DEFAULT_MODEL, clone / "params.yaml") == clone / "models"
    assert "no registry; using" in capsys.readouterr().err


def test_a_clone_whose_registry_is_damaged_says_so(clone):
    (clone / "mlruns").mkdir()
    (clone / DATABASE).write_text("no database " * 100)
    done = run_command(clone, "export", "out.onnx")
    assert (done.code, done.stderr.count("\n")) == (1, 1)
    assert "file is not a database; `--model models` uses a folder with both networks" in done.stderr


def test_a_registry_takes_precedence_over_the_networks(clone, project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{clone}/nowhere.db")
    with pytest.raises(FaceanimError) as caught:  # an address that was given is not passed over
        resolve_model(DEFAULT_MODEL, clone / "params.yaml")
    assert str(caught.value).startswith(f"there is no registry at sqlite:///{clone}/nowhere.db; ")
    assert str(caught.value).endswith(f"`--model {clone}/models` uses a folder with both networks")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    shutil.copytree(project / "mlruns", clone / "mlruns")
    assert resolve_model(DEFAULT_MODEL, clone / "params.yaml").is_relative_to(clone / "mlruns")
