"""A hundred hostile inputs to the command: each is one clear line or animated whole; nothing else is left."""

import json
import subprocess
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from faceanim.media.video import read_frames
from tests.helpers.driving import moving_face
from tests.helpers.hostile_inputs import hostile_pictures, hostile_videos

RUN_ALL = """
import contextlib, io, json, sys
from pathlib import Path
from faceanim.cli.main import main
folder, model, portrait, driving = sys.argv[1:]
for path in sorted(Path(folder, "in").iterdir()):
    source, video = (portrait, path) if path.name.startswith("video-") else (path, driving)
    out = Path(folder, "out", f"{path.name}.mp4")
    sys.argv = ["faceanim", "animate", *map(str, (source, video, out)), "--model", model, "--device", "cpu"]
    printed, code = io.StringIO(), 0
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            main()
        except SystemExit as end:
            code = end.code
    print(json.dumps([path.name, code, printed.getvalue()]), flush=True)
"""


@dataclass(frozen=True)
class Said:
    """What the command printed of each file, by its name, and its exit code."""

    folder: Path
    codes: dict[str, int]
    printed: dict[str, str]

    def line(self, name: str) -> str:
        """The last line."""
        return self.printed[name].splitlines()[-1]


@pytest.fixture(scope="module")
def said(tmp_path_factory, model, portrait, driving):
    """The command on each of them, all in one process: to start Python takes longer."""
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
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return Said(folder, {name: code for name, code, _ in told}, {name: text for name, _, text in told})


def moving_face_again() -> list:
    return [frame[:240, 120:440] for frame in moving_face()[5:9]]


def test_each_is_one_clear_line(said):
    assert len(said.codes) >= 100
    refused = [name for name, code in said.codes.items() if code]
    assert len(refused) > 80
    for name in refused:
        assert said.codes[name] == 1
        lines = [line for line in said.printed[name].splitlines() if line.startswith("error: ")]
        assert lines == [said.line(name)]
        assert name in lines[0]
        assert len(lines[0]) < 400
        assert "Traceback" not in said.printed[name]
    assert {name for name in said.codes if name.startswith("picture-")} <= set(refused)


def test_what_is_made_is_whole_and_nothing_else_is_left(said):
    made = {f"{name}.mp4" for name, code in said.codes.items() if code == 0}
    left = {path.name for path in (said.folder / "out").iterdir()} if made else set()
    assert left == made
    for name in islice(sorted(made), 8):
        read, written = (
            len(list(read_frames(path, "pyav")))
            for path in (said.folder / "in" / name.removesuffix(".mp4"), said.folder / "out" / name)
        )
        assert read == written > 0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("picture-half-a-face.png", "no face found"),
        ("picture-drawing.png", "no face found"),
        ("picture-one-pixel.png", "only 1x1 pixels"),
        ("picture-fifty-megapixels.png", "no face found"),
        ("picture-bomb.png", "too large"),
        ("picture-text.jpg", "not an image of a supported format"),
    ],
)
def test_what_is_said(said, name, says):
    assert says in said.line(name)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("truncated", "the file is truncated"),
        ("no-picture-sound", "it has no video stream"),
        ("something-else", "not a supported video"),
        ("changing-size", "not a supported video"),
    ],
)
def test_what_is_said_of_videos(said, kind, says):
    names = [name for name in said.codes if name.startswith(f"video-{kind}")]
    assert len(names) >= 3
    # Of a program stream, the last byte is padding.
    assert all(says in said.line(name) for name in names if "last-program" not in name)
