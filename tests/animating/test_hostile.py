"""A hundred hostile inputs: each is one clear line, or is animated whole, and nothing is left behind."""

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from faceanim.data.video import read_frames
from tests.animating.conftest import moving_face
from tests.animating.hostile import hostile_pictures, hostile_videos

RUN_ALL = """
import json, sys
from pathlib import Path
import faceanim
from faceanim.errors import FaceanimError
folder, model, portrait, driving = map(Path, sys.argv[1:])
network = faceanim.load_network(model, "cpu")
for path in sorted((folder / "in").iterdir()):
    print(json.dumps(path.name), end=" ", flush=True)
    is_video = path.parent.name == "in" and path.name.startswith("video-")
    source, video = (portrait, path) if is_video else (path, driving)
    try:
        made = faceanim.animate(source, video, folder / "out" / f"{path.name}.mp4", model=network)
        print(json.dumps(f"made {made.frames}"), flush=True)
    except FaceanimError as error:
        print(json.dumps(str(error)), flush=True)
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory, model, portrait, driving):
    """What is said of each of them, by one process that goes through them all."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "in").mkdir()
    frames = [frame[:240, 120:440] for frame in moving_face()[11:]] + moving_face_again()
    for kind, files in {"picture": hostile_pictures(), "video": hostile_videos(frames)}.items():
        for name, content in files:
            (folder / "in" / f"{kind}-{name}").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, *map(str, (folder, model, portrait, driving))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr[-2000:]
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    return folder, {json.loads(name): json.loads(text) for name, text in lines}


def moving_face_again() -> list:
    return [frame[:240, 120:440] for frame in moving_face()[5:9]]


def test_each_is_one_clear_line(said):
    lines = said[1]
    assert len(lines) >= 100
    refused = {name: line for name, line in lines.items() if not line.startswith("made ")}
    for name, line in refused.items():
        assert "\n" not in line
        assert name in line
        assert len(line) < 400
    pictures = {name for name in lines if name.startswith("picture-")}
    assert pictures <= set(refused)
    assert len(refused) > 80


def test_what_is_made_is_whole_and_nothing_else_is_left(said):
    folder, lines = said
    made = {f"{name}.mp4": int(line.split()[1]) for name, line in lines.items() if line.startswith("made ")}
    left = {path.name for path in (folder / "out").iterdir()} if made else set()
    assert left == set(made)
    for name, count in islice(made.items(), 8):
        assert len(list(read_frames(folder / "out" / name, "pyav"))) == count


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("picture-half-a-face.png", "no face found"),
        ("picture-drawing.png", "no face found"),
        ("picture-one-pixel.png", "only 1x1 pixels"),
        ("picture-fifty-megapixels.png", "no face found"),
        ("picture-bomb.png", "too large"),
        ("picture-text.jpg", "no picture that can be read"),
    ],
)
def test_what_is_said(said, name, says):
    assert says in said[1][name]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("truncated", "breaks off before its end"),
        ("no-picture-sound", "has no moving picture in it"),
        ("something-else", "is no video that can be read"),
        ("changing-size", "is no video that can be read"),
    ],
)
def test_what_is_said_of_videos(said, kind, says):
    lines = {name: line for name, line in said[1].items() if name.startswith(f"video-{kind}")}
    assert len(lines) >= 3
    # Of a program stream, the last byte is padding.
    assert all(says in line for name, line in lines.items() if "last-program" not in name)


def test_the_command_says_the_same(said, model, portrait, driving):
    folder, lines = said
    for name in ("picture-half-a-face.png", "picture-bomb.png"):
        done = command(folder, f"in/{name}", str(driving), model)
        assert done.returncode == 1
        line = done.stderr.splitlines()[-1]
        assert line.startswith("error: ")
        assert f"in/{name}" in line
        assert "Traceback" not in done.stderr
    name = next(name for name in lines if name.startswith("video-truncated"))
    done = command(folder, str(portrait), f"in/{name}", model)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: in/" + name)


def command(folder: Path, source: str, driving: str, model: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "faceanim", "animate", source, driving, "x.mp4", "--model", str(model)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
