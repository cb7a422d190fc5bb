"""Trainings in a real MLflow store."""

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from ruamel.yaml import YAML

from faceanim.errors import FaceanimError
from faceanim.mlflow_address import resolve_tracking_uri
from faceanim.progress import NullLogger
from faceanim.tables import flatten_keys
from faceanim.tracking import EXPERIMENT, MlflowLogger, connect, name_run, open_run
from tests.helpers.crops import write_crops
from tests.helpers.paths import PROJECT
from tests.helpers.videos import RUN


@pytest.fixture
def run(tmp_path, monkeypatch, empty_store):
    """Settings of a run with an empty store."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlruns").mkdir()
    shutil.copy(empty_store, tmp_path / "mlruns")
    return RUN.model_copy(update={"tracking_uri": f"sqlite:///{tmp_path}/mlruns/mlflow.db"})


@pytest.fixture
def nowhere():
    """Address at which nothing listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


def history(client, run_id, name):
    return {metric.step: metric.value for metric in client.get_metric_history(run_id, name)}


def test_a_run_is_resumed(run, tmp_path):
    first = open_run(run, "train_sr", {"git_revision": "abc"}, None)
    first.log_params({"lr": 0.1, "engine": {"log_every": 2}})
    first.log_metrics(2, {"l1": 0.5})
    first.log_image(2, "samples", np.full((4, 6, 3), 200, np.uint8))
    first.close("KILLED")
    second = open_run(run, "train_sr", {}, first.run_id)
    second.log_params({"lr": 0.2})  # MLflow would refuse the changed value
    second.log_metrics(4, {"l1": 0.25})
    second.close("FINISHED")
    client = connect(run.tracking_uri)
    (experiment,) = client.search_experiments(filter_string=f"name = '{EXPERIMENT}'")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_id == first.run_id == second.run_id
    assert (found.info.run_name, found.info.status) == ("train_sr", "FINISHED")
    assert found.data.params == {"lr": "0.1", "engine.log_every": "2"}
    assert found.data.tags["git_revision"] == "abc"
    assert history(client, first.run_id, "l1") == {2: 0.5, 4: 0.25}
    assert [file.path for file in client.list_artifacts(first.run_id, "samples")] == ["samples/000000002.png"]


def test_a_run_that_was_deleted_is_started_anew(run):
    assert open_run(run, "train_sr", {}, "0" * 32).run_id not in (None, "0" * 32)


def test_an_address_that_does_not_respond_costs_a_line(run, nowhere, capsys):
    logger = open_run(run.model_copy(update={"tracking_uri": nowhere}), "train_sr", {}, None)
    assert isinstance(logger, NullLogger)
    message = capsys.readouterr().err
    assert f"cannot connect to MLflow at {nowhere}: " in message
    assert message.endswith("; the curves are only written to the CSV\n")
    assert message.count("\n") == 1


def test_a_server_that_is_absent_for_a_while_costs_a_line_and_no_metric(run, nowhere, capsys):
    logger = open_run(run, "train_sr", {}, None)
    assert isinstance(logger, MlflowLogger)
    client = logger._client
    logger._client = MlflowClient(nowhere)
    for step in (1, 2, 3):
        logger.log_metrics(step, {"l1": float(step)})
    message = capsys.readouterr().err
    assert message.startswith("MLflow does not respond, training continues without it: ")
    assert message.count("\n") == 1
    logger._client = client
    logger.close("FINISHED")
    assert history(client, logger.run_id, "l1") == {1: 1.0, 2: 2.0, 3: 3.0}


@pytest.mark.slow
@pytest.mark.server
def test_a_stage_that_is_stopped_twice_is_one_run(run, tmp_path, monkeypatch):
    yaml = YAML()
    params = yaml.load(PROJECT / "profiles/sample.yaml")
    params["run"]["tracking_uri"] = run.tracking_uri
    params["train_sr"].update(steps=1_000_000, batch_size=1, generated_prob=0.0)
    params["train_sr"]["model"].update(channels=4, generated_strength=None)
    params["train_sr"]["engine"].update(log_every=1, checkpoint_every=1_000_000)
    yaml.dump(params, tmp_path / "params.yaml")
    write_crops(tmp_path / "data")
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    stopped = []
    for _ in range(2):
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "stages.train_sr"),
                *(
                    "data/crops.parquet",
                    "no landmarks",
                    "no animation",
                    "model",
                    "history.csv",
                    "metrics.json",
                ),
            ],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        lines = iter(process.stderr.readline, "")
        output = []
        for line in lines:
            output.append(line)
            if line.startswith("train_sr: "):
                process.send_signal(signal.SIGTERM)
                break
        output += lines
        assert process.wait() == 1
        assert not any("Traceback" in line for line in output)
        words = output[-1].split()
        assert output[-1] == (
            f"error: stopped at step {words[4][:-1]}; the checkpoint is saved, "
            "run the same command to resume\n"
        )
        if stopped:
            assert f"resuming from step {stopped[-1]}\n" in output
        stopped.append(int(words[4][:-1]))
    client = connect(run.tracking_uri)
    (experiment,) = client.search_experiments(filter_string=f"name = '{EXPERIMENT}'")
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == ("train_sr", "KILLED")
    assert found.data.params["engine.log_every"] == "1"
    assert sorted(history(client, found.info.run_id, "l1")) == list(range(1, stopped[-1] + 1))


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}", "sqlite:////proc/mlflow.db", "foo://x"])
def test_an_address_that_does_not_respond_is_reported_in_one_line(address):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(FaceanimError, match="cannot connect to MLflow") as caught:
        connect(address.format(port=port))
    assert "\n" not in str(caught.value)


def test_a_password_in_an_address_is_not_shown():
    with pytest.raises(FaceanimError) as caught:
        connect("postgresql://me:secret@127.0.0.1:9/mlflow")
    assert "secret" not in str(caught.value)


@pytest.mark.slow
def test_several_processes_create_one_database(tmp_path):
    script = "import sys; from faceanim.tracking import connect; connect(sys.argv[1])"
    command = [sys.executable, "-c", script, f"sqlite:///{tmp_path}/mlruns/mlflow.db"]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors[-2000:]


def test_the_environment_overrides_the_address(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert resolve_tracking_uri(RUN) == "http://127.0.0.1:1"


def test_a_queued_experiment_uses_the_projects_registry(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = RUN.model_copy(update={"tracking_uri": "sqlite:///mlruns/mlflow.db"})
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert resolve_tracking_uri(run) == f"sqlite:///{Path.cwd()}/mlruns/mlflow.db"
    # DVC sets it, also in the copy in which a queued experiment runs.
    monkeypatch.setenv("DVC_ROOT", "/project")
    assert resolve_tracking_uri(run) == "sqlite:////project/mlruns/mlflow.db"
    for elsewhere in ("sqlite:////other/mlflow.db", "postgresql://me@127.0.0.1/mlflow", "http://127.0.0.1:1"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", elsewhere)
        assert resolve_tracking_uri(run) == elsewhere


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        ({"git_revision": "0123456789abcdef" * 2}, "train_sr, 012345678"),
        ({"git_revision": "0123456789abcdef" * 2 + "+changes"}, "train_sr, 012345678+changes"),
        ({"git_revision": "0123456789abcdef", "dvc_experiment": "warm-up"}, "train_sr, warm-up"),
        ({"git_revision": "none"}, "train_sr"),
        ({}, "train_sr"),
    ],
)
def test_a_run_is_named_by_what_it_is(tags, name):
    assert name_run("train_sr", tags) == name


def test_nested_metrics_have_dotted_names():
    assert flatten_keys({"a": {"b": 1, "c": {"d": 2}}, "e": 3}) == {"a.b": 1, "a.c.d": 2, "e": 3}
