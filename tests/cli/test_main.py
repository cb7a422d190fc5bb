"""The command line: the output and the exit code of user errors."""

import os
import subprocess
import sys

import cv2
import pytest
from skimage import data

import faceanim
from tests.helpers.commands import run_command
from tests.helpers.paths import PROJECT
from tests.helpers.tiny import save_models


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    save_models(folder / "model")
    cv2.imwrite(str(folder / "face.png"), cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(folder / "coins.png"), data.coins())
    (folder / "text.mp4").write_text("no video")
    return folder


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("animate", "face.png", "none.mp4", "out.mp4", "--model", "model"), "none.mp4: no such file"),
        (("animate", "face.png", "text.mp4", "out.mp4", "--model", "model"), "text.mp4"),
        (("animate", "coins.png", "text.mp4", "out.mp4", "--model", "model"), "no face found in coins.png"),
        (("animate", "face.png", "text.mp4", "out.mp4", "--model", "nowhere"), "nowhere"),
        (("animate", "face.png", "text.mp4", "out.mp4"), "params.yaml is missing"),
        (("models",), "params.yaml is missing"),
        (("models", "show", "3"), "params.yaml is missing"),
        (("profile", "none"), "unknown profile 'none'"),
    ],
)
def test_a_mistake_is_one_line_and_a_non_zero_exit(folder, arguments, says, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    done = run_command(folder, *arguments)
    assert done.code == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert says in line
    assert not (folder / "out.mp4").exists()


@pytest.mark.slow
def test_an_unreachable_tracking_server_is_one_line(folder):
    done = subprocess.run(
        [sys.executable, "-m", "faceanim", "animate", "face.png", "text.mp4", "out.mp4"],
        cwd=folder,
        env={**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "cannot connect to MLflow at http://127.0.0.1:9: " in done.stderr


def test_an_unknown_key_in_the_parameters_is_one_line(folder, tmp_path):
    text = (PROJECT / "profiles/sample.yaml").read_text().replace("  min_size:", "  min_siez:")
    (tmp_path / "params.yaml").write_text(text)
    done = run_command(tmp_path, "check")
    assert done.code == 1
    assert "crop.min_siez: Extra inputs are not permitted" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_names_the_commands(folder):
    done = run_command(folder, "--help")
    assert done.code == 0
    for command in ("animate", "models", "profile", "check"):
        assert command in done.stdout


def test_the_version_and_the_error_of_the_api(folder):
    done = run_command(folder, "--version")
    assert (done.code, done.stdout) == (0, f"faceanim {faceanim.__version__}\n")
    with pytest.raises(faceanim.FaceanimError, match="no such file"):
        faceanim.animate("none.png", "none.mp4", "out.mp4")


def test_help_is_quick_because_it_imports_no_network():
    program = "import sys, faceanim.cli.main; print(*{'torch', 'mlflow', 'gradio', 'onnx'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
