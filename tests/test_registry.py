"""The registry, on a real MLflow store."""

import os
import socket
import subprocess
import sys

import pytest

from faceanim.config import RegisterConfig
from faceanim.errors import FaceanimError
from faceanim.registry import Evaluated, fetch_model, promote, register, versions
from faceanim.tracking import connect, flatten, tracking_uri
from stages.register import lock_hash
from tests.tiny import save_models
from tests.videos import RUN

USE_OUTSIDE = """
import mlflow, numpy as np
model = mlflow.pyfunc.load_model("models:/faceanim@champion")
source = np.random.default_rng(0).integers(0, 255, (1, 200, 200, 3), np.uint8)
driving = np.random.default_rng(1).integers(0, 255, (3, 90, 90, 3), np.uint8)
print(model.predict({"source": source, "driving": driving}).shape)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models"))


CONFIG = RegisterConfig(model_name="faceanim", min_gain_db=0.0)


@pytest.fixture
def uri(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return f"sqlite:///{tmp_path}/mlruns/mlflow.db"


def evaluated(folder, psnr, test_set="a"):
    return Evaluated(
        folder=folder,
        metrics={"reconstruction": {"psnr": psnr, "copy_source": {"psnr": 20.0}}},
        params={"crop.size": 128},
        curves={"animation": [{"step": 1.0, "pixel": 0.5}, {"step": 2.0, "pixel": 0.25}]},
        pictures=[],
        test_set=test_set,
        tags={"git_revision": "abc"},
    )


def champion(uri):
    (holder,) = [version.version for version, aliases in versions(CONFIG, uri) if "champion" in aliases]
    return int(holder)


def test_champion_moves_to_a_better_version_only(uri, models, tmp_path):
    first = register(CONFIG, uri, evaluated(models, 24.0))
    tied = register(CONFIG, uri, evaluated(models, 24.0))
    elsewhere = register(CONFIG, uri, evaluated(models, 40.0, test_set="b"))
    better = register(CONFIG, uri, evaluated(models, 24.5))
    assert [item.champion for item in (first, tied, elsewhere, better)] == [True, False, False, True]
    assert "another test set" in elsewhere.reason
    assert champion(uri) == better.version

    promote(CONFIG, uri, elsewhere.version)
    assert champion(uri) == elsewhere.version
    with pytest.raises(FaceanimError, match="no version 99"):
        promote(CONFIG, uri, 99)

    folder = fetch_model("models:/faceanim@champion", uri)
    assert (folder / "animation" / "weights.safetensors").read_bytes() == (
        models / "animation" / "weights.safetensors"
    ).read_bytes()

    # As a user would, somewhere else, with nothing but the address set and pickle switched off.
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    done = subprocess.run(
        [sys.executable, "-c", USE_OUTSIDE],
        cwd=outside,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "(3, 128, 128, 3)", done.stderr[-2000:]
    assert not [
        path for path in (tmp_path / "mlruns").rglob("*") if path.suffix in (".pkl", ".pickle", ".pth")
    ]


def test_a_version_that_does_not_load_takes_no_champion(uri, models, tmp_path):
    register(CONFIG, uri, evaluated(models, 24.0))
    broken = save_models(tmp_path / "broken")
    weights = broken / "animation" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(FaceanimError):
        register(CONFIG, uri, evaluated(broken, 30.0))
    assert champion(uri) == 1


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}", "sqlite:////proc/mlflow.db", "foo://x"])
def test_an_address_that_does_not_answer_is_one_line(models, address):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(FaceanimError, match="does not answer") as caught:
        register(CONFIG, address.format(port=port), evaluated(models, 24.0))
    assert "\n" not in str(caught.value)


def test_a_password_in_an_address_is_not_shown():
    with pytest.raises(FaceanimError) as caught:
        connect("postgresql://me:secret@127.0.0.1:9/mlflow")
    assert "secret" not in str(caught.value)


def test_the_environment_names_the_address(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert tracking_uri(RUN) == "http://127.0.0.1:1"


def test_a_queued_experiment_has_the_projects_registry(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = RUN.model_copy(update={"tracking_uri": "sqlite:///mlruns/mlflow.db"})
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert tracking_uri(run) == "sqlite:///mlruns/mlflow.db"
    # As DVC sets it, in the copy that a queued experiment runs in too.
    monkeypatch.setenv("DVC_ROOT", "/project")
    assert tracking_uri(run) == "sqlite:////project/mlruns/mlflow.db"
    for elsewhere in ("sqlite:////other/mlflow.db", "postgresql://me@127.0.0.1/mlflow", "http://127.0.0.1:1"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", elsewhere)
        assert tracking_uri(run) == elsewhere


def test_no_such_model(uri):
    with pytest.raises(FaceanimError, match="no model at"):
        fetch_model("models:/faceanim@champion", uri)
    assert versions(CONFIG, uri) == []


def test_flatten_and_lock_hash():
    assert flatten({"a": {"b": 1, "c": {"d": 2}}, "e": 3}) == {"a.b": 1, "a.c.d": 2, "e": 3}
    lock = {"stages": {"crop": {"cmd": "x"}, "register": {"cmd": "y"}}}
    changed = {"stages": {"crop": {"cmd": "x"}, "register": {"cmd": "z"}}}
    assert lock_hash(lock) == lock_hash(changed)
    assert lock_hash(lock) != lock_hash({"stages": {"crop": {"cmd": "w"}}})
