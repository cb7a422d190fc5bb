"""Tests see what git tracks, and neither what a user's runs left in the checkout nor the user's settings."""

import os
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
import torch
from dvc.config import Config
from ruamel.yaml import YAML

from faceanim.app.examples import examples_folder
from faceanim.models.pretrained import WEIGHTS_VARIABLE, get_weights_folder
from flows.prefect_api import api_address
from tests.helpers.environment import build_environment
from tests.helpers.paths import PROJECT
from tests.helpers.project import CODE, copy_code, list_tracked

USERS = {
    "ALL_PROXY": "socks5://proxy:1080",
    "AWS_PROFILE": "mine",
    "COLUMNS": "20",
    "DVC_EXP_NAME": "mine",
    "FORCE_COLOR": "1",
    "GIT_DIR": "/elsewhere/.git",
    "HOME": "/home/user",
    "LANG": "tr_TR.UTF-8",
    "LC_NUMERIC": "de_DE.UTF-8",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
    "NO_COLOR": "1",
    "PREFECT_API_URL": "http://127.0.0.1:4200/api",
    "PREFECT_PROFILE": "mine",
    "PYTHONPATH": "/elsewhere",
    "PYTHONWARNINGS": "error",
    "RANK": "1",
    "TORCH_HOME": "/weights",
    "TZ": "Asia/Kathmandu",
    "XDG_CONFIG_HOME": "/home/user/.config",
    "http_proxy": "http://proxy:3128",
    WEIGHTS_VARIABLE: "/weights",
}
LEFT_BY_A_RUN = (
    ".dvc/cache/files/md5/00/11", ".dvc/config.local", ".dvc/tmp/rwlock", ".faceanim/dvc.lock", "dvc.lock",
    "data/crops.parquet", "dvc_plots/index.html", "faceanim/__pycache__/errors.cpython-311.pyc",
    "models/animation/model.safetensors", "mlruns/mlflow.db", "out/animated.mp4", "reports/metrics.json",
    "sample/dvc.lock", "sample/videos/p01/a.mp4", "videos.dvc",
)  # fmt: skip


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A clone of the project, as it is in the working tree."""
    folder = tmp_path_factory.mktemp("clone")
    for name in list_tracked(PROJECT, *CODE, "params.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, folder / name)
    git(folder, "init", "-q")
    commit(folder)
    return folder


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "all")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_copy_has_nothing_of_the_demo_that_ran_in_the_clone(clone, tmp_path):
    copy_code(tmp_path / "before", clone)
    for name in LEFT_BY_A_RUN:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text("left by a run")
    (clone / "faceanim/new.py").write_text("not added yet")
    yaml = YAML()
    params = yaml.load(clone / "params.yaml")
    params["index"]["path"] = "/home/user/videos"
    params["landmarks"]["detector"] = "mediapipe"
    params["run"] = {"tracking_uri": "http://127.0.0.1:5000", "workers": 64}
    yaml.dump(params, clone / "params.yaml")
    config = ConfigParser()
    config.read(clone / ".dvc/config")
    config["'remote \"store\"'"] = {"url": "/mnt/shared"}
    config["cache"] = {"dir": "/mnt/cache"}
    with (clone / ".dvc/config").open("w") as file:
        config.write(file)
    copy_code(tmp_path / "after", clone)
    assert contents(tmp_path / "after") == contents(tmp_path / "before")
    (clone / "faceanim/new.py").unlink()
    commit(clone)  # as a user does who shares the results
    copy_code(tmp_path / "committed", clone)
    assert contents(tmp_path / "committed") == contents(tmp_path / "before")


def test_edits_of_tracked_files_are_tested(clone, tmp_path):
    with (clone / "faceanim/errors.py").open("a") as file:
        file.write("# edited")
    (clone / "faceanim/tables.py").unlink()
    (clone / "faceanim/added.py").touch()
    git(clone, "add", "faceanim/added.py")
    copy_code(tmp_path, clone)
    assert (tmp_path / "faceanim/errors.py").read_text().endswith("# edited")
    assert not (tmp_path / "faceanim/tables.py").exists()
    assert (tmp_path / "faceanim/added.py").exists()


def test_variables_of_the_user_are_hidden():
    machine = {"CUDA_VISIBLE_DEVICES": "1", "OMP_NUM_THREADS": "2", "TMPDIR": "/scratch"}
    environment = build_environment(USERS | machine | {"PATH": "/bin"}, Path("/home/tests"))
    assert environment.items() >= machine.items()
    assert environment["PATH"].endswith("/bin")
    for name, value in USERS.items():
        assert environment.get(name) != value, name


def test_this_process_is_isolated():
    home = Path(os.environ["HOME"])
    for folder in (
        get_weights_folder(),
        examples_folder(),
        Path(torch.hub.get_dir()),
        Path(Config.get_dir("global")),
    ):
        assert home in folder.parents, folder
    assert api_address() is None
    named = subprocess.run(
        ["git", "config", "user.name"], cwd=home, capture_output=True, text=True, check=True
    )
    assert named.stdout == "test\n"
