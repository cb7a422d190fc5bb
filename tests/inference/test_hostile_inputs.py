"""Hostile inputs to the command: it prints one clear line or animates them whole, and leaves nothing else."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from faceanim.media.video import read_frames
from tests.helpers.commands import Completed, run_command
from tests.helpers.hostile_inputs import hostile_pictures, hostile_videos

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Results:
    """Result of the command for each file, by the file's name."""

    folder: Path
    completed: dict[str, Completed]

    @property
    def refused(self) -> dict[str, Completed]:
        """The results with an exit code other than 0."""
        return {name: done for name, done in self.completed.items() if done.code}

    def line(self, name: str) -> str:
        """Return the last line of standard error."""
        return self.completed[name].stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def results(tmp_path_factory, model, portrait, driving):
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "in").mkdir()
    completed = {}
    for kind, files in {"picture": hostile_pictures(), "video": hostile_videos(per_kind=3)}.items():
        for name, content in files:
            path = folder / "in" / f"{kind}-{name}"
            path.write_bytes(content)
            source, video = (portrait, path) if kind == "video" else (path, driving)
            arguments = (source, video, f"out/{path.name}.mp4", "--model", model, "--device", "cpu")
            completed[path.name] = run_command(folder, "animate", *map(str, arguments))
    return Results(folder, completed)


def test_each_is_one_clear_line(results):
    assert len(results.completed) >= 40
    assert len(results.refused) > 30
    for name, done in results.refused.items():
        assert done.code == 1
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert lines == [results.line(name)]
        assert name in lines[0]
        assert len(lines[0]) < 400
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    assert {name for name in results.completed if name.startswith("picture-")} <= set(results.refused)


def test_what_is_animated_is_whole_and_nothing_else_is_left(results):
    animated = results.completed.keys() - results.refused.keys()
    assert animated
    assert {path.name for path in (results.folder / "out").iterdir()} == {f"{name}.mp4" for name in animated}
    for name in animated:
        read, written = (
            len(list(read_frames(path, "pyav")))
            for path in (results.folder / "in" / name, results.folder / "out" / f"{name}.mp4")
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
def test_errors_of_pictures(results, name, says):
    assert says in results.line(name)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("truncated", "the file is truncated"),
        ("no-picture-sound", "it has no video stream"),
        ("something-else", "not a supported video"),
        ("changing-size", "not a supported video"),
    ],
)
def test_errors_of_videos(results, kind, says):
    names = [name for name in results.completed if name.startswith(f"video-{kind}")]
    assert names
    assert all(says in results.line(name) for name in names)
