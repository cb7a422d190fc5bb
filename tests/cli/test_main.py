"""The command line: what a mistake looks like from outside."""

import os
import subprocess
import sys

import cv2
import pytest
from skimage import data

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


def faceanim(folder, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "faceanim", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


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
def test_a_mistake_is_one_line_and_a_non_zero_exit(folder, arguments, says):
    done = faceanim(folder, *arguments, MLFLOW_TRACKING_URI="")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert says in line
    assert not (folder / "out.mp4").exists()


def test_an_unreachable_tracking_server_is_one_line(folder):
    done = faceanim(
        folder, "animate", "face.png", "text.mp4", "out.mp4", MLFLOW_TRACKING_URI="http://127.0.0.1:9"
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "cannot connect to MLflow at http://127.0.0.1:9: " in done.stderr


def test_an_unknown_key_in_the_parameters_is_one_line(folder, tmp_path):
    text = (PROJECT / "params.yaml").read_text().replace("  min_size:", "  min_siez:")
    (tmp_path / "params.yaml").write_text(text)
    done = faceanim(tmp_path, "check")
    assert done.returncode == 1
    assert "crop.min_siez: Extra inputs are not permitted" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_names_the_commands(folder):
    done = faceanim(folder, "--help")
    assert done.returncode == 0
    for command in ("animate", "models", "profile", "check"):
        assert command in done.stdout
