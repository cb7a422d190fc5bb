"""`faceanim animate` and `faceanim motion`, as users call them."""

import os
import subprocess
import sys

import pytest
from skimage.data import astronaut

from faceanim.media.video import probe
from tests.helpers.commands import run_command
from tests.helpers.driving import FRAMES
from tests.helpers.sounds import write_with_sounds


@pytest.fixture(scope="module")
def folder(tmp_path_factory, portrait, driving, model):
    folder = tmp_path_factory.mktemp("commands")
    for name, target in {"face.png": portrait, "talk.mp4": driving, "model": model}.items():
        (folder / name).symlink_to(target)
    return folder


@pytest.mark.slow
def test_animate_prints_the_file_the_progress_and_the_device(folder):
    arguments = ["animate", "face.png", "talk.mp4", "out.mp4", "--model", "model"]
    done = subprocess.run(
        [sys.executable, "-m", "faceanim", *arguments],
        cwd=folder,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out.mp4\n"
    assert f"animate on the CPU: {FRAMES}/{FRAMES} animating" in done.stderr
    assert probe(folder / "out.mp4").frames == FRAMES


@pytest.mark.slow
def test_a_motion_is_read_once_and_used_again(folder):
    common = ("--model", "model", "--device", "cpu")
    assert run_command(folder, "motion", "talk.mp4", "talk.motion", *common).code == 0
    options = ("--absolute", "--whole")
    assert run_command(folder, "animate", "face.png", "talk.motion", "again.mp4", *common, *options).code == 0
    info = probe(folder / "again.mp4")
    assert (info.frames, info.width, info.height) == (FRAMES, 512, 512)


def test_lost_sound_is_said_before_the_work(folder, tmp_path):
    write_with_sounds(tmp_path / "talk.mkv", [astronaut()[:64, :64]], [("unknown", 44_100)])
    arguments = (str(folder / "face.png"), "talk.mkv", "out.mp4", "--model", "nowhere")
    done = run_command(tmp_path, "animate", *arguments)
    first, last = done.stderr.splitlines()
    assert first == "warning: the sound of the video has a codec that cannot be decoded; the result is silent"
    assert "cannot load model nowhere" in last


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--device", "cuda"), "cannot use the GPU"),
        (("--face", "left"), "face"),
        (("--face", "3"), "cannot select face 3"),
        (
            ("--face", "0"),
            "invalid face: give `largest`, `all`, or a number counted from the left, 1 or more",
        ),
        (("--driving-face", "0"), "invalid driving face"),
        (("--scale", "-1"), "scale: Input should be greater than or equal to 0"),
        (("--mouth", "4"), "mouth: Input should be less than or equal to 3"),
        (("--size", "33"), "size: Input should be a multiple of 2"),
    ],
)
def test_impossible_options_are_one_line(folder, arguments, says, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    done = run_command(folder, "animate", "face.png", "talk.mp4", "no.mp4", "--model", "model", *arguments)
    assert done.code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert says in line
    assert not (folder / "no.mp4").exists()
