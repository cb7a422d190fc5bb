"""A copy of the project with tiny networks and short videos, for tests that run the pipeline."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

from ruamel.yaml import YAML

from faceanim.media.encode import write_mp4
from faceanim.media.video import probe, read_frames
from faceanim.synthetic import list_videos, render_sample
from tests.helpers.paths import PROJECT

ENGINE = {
    "precision": "fp32",
    "compile": False,
    "accumulate_grad_batches": 1,
    "clip_norm": 0.0,
    "ema_decay": 0.0,
    "log_every": 2,
    "pictures_every": 2,
    "keep_checkpoints": 2,
}
CHANGES = {
    "index": {"path": "videos", "test_people": ["p02"]},
    "crop": {"min_frames": 8},
    "train_animation": {
        "steps": 6,
        "batch_size": 2,
        "discriminator_channels": 4,
        "engine": ENGINE | {"checkpoint_every": 3},
        "model": {
            "size": 64,
            "motion_size": 32,
            "encoder": "plain",
            "decoder_channels": [16, 8, 8, 8, 8],
            "motion_channels": 4,
            "motion_blocks": 1,
            "generator_channels": 4,
            "generator_blocks": 1,
        },
    },
    "train_sr": {
        "steps": 4,
        "batch_size": 2,
        "engine": ENGINE | {"checkpoint_every": 2},
        "model": {"factor": 2, "channels": 4, "generated_strength": 0.5},
    },
    "evaluate": {"pictures": 1},
}
FRAMES = 10
"""Frames of each video, just enough for a crop of `min_frames`."""
STAGES = ["index", "download", "crop", "landmarks", "train_animation", "train_sr", "evaluate", "register"]
GOOD = [video.key for video in list_videos() if video.kind == "good"]
(DAMAGED,) = [video.key for video in list_videos() if video.kind == "damaged"]
# Servers and credentials in the environment of the test run.
HIDDEN = ("MLFLOW_", "PREFECT_API_URL", "AWS_")
AUTHOR = {
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
}


class Project:
    """A copy of the project under git, and methods to run commands in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        shown = {key: value for key, value in os.environ.items() if not key.startswith(HIDDEN)}
        self.environment = shown | AUTHOR | {"PATH": path}

    def run(
        self, *command: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command that must succeed, with additional environment variables."""
        done = subprocess.run(
            command,
            cwd=cwd or self.folder,
            env={**self.environment, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:]
        return done

    def dvc(self, *arguments: str, **environment: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments, environment=environment).stdout

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).stdout

    def faceanim(self, *arguments: str, cwd: Path | None = None, **environment: str) -> str:
        return self.run(sys.executable, "-m", "faceanim", *arguments, cwd=cwd, environment=environment).stdout

    def read(self, path: str) -> dict:
        return json.loads((self.folder / path).read_text())

    def copy(self, folder: Path) -> "Project":
        """Copy the project without its registry, because MLflow stores absolute paths."""
        shutil.copytree(self.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("mlruns"))
        return Project(folder)


def copy_project(folder: Path) -> Project:
    """Copy the files known to git, except tests and docs, with tiny parameters and three videos."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if name.startswith(("tests/", "docs/", "benchmarks/")) or not (PROJECT / name).is_file():
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, folder / name)
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    for section, values in CHANGES.items():
        params[section].update(values)
    yaml.dump(params, folder / "params.yaml")
    for name, content in render_videos().items():
        path = folder / f"videos/{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    project = Project(folder)
    (folder / ".gitignore").open("a").write("/videos/\n")
    project.git("init", "-q")
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "a copy")
    return project


@cache
def render_videos() -> dict[str, bytes]:
    """Render two short videos of two people and a damaged one, by their keys."""
    good = [*pick("p01", 1), *pick("p02", 1)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        render_sample(folder, names=[*good, DAMAGED])
        for key in good:
            shorten(folder / f"{key}.mp4")
        return {key: (folder / f"{key}.mp4").read_bytes() for key in (*good, DAMAGED)}


def shorten(video: Path) -> None:
    """Keep only the first `FRAMES` frames of a video."""
    fps = probe(video).fps
    frames = list(islice(read_frames(video, "pyav"), FRAMES))
    video.unlink()
    write_mp4(video, frames, Fraction(fps).limit_denominator(1001))


def pick(person: str, count: int) -> list[str]:
    """Return the keys of the first undamaged videos of a person."""
    return [key for key in GOOD if key.startswith(f"{person}/")][:count]


def ran(output: str) -> list[str]:
    """Return the stages that DVC reports to run, in order."""
    return re.findall(r"Running stage '([\w/.:]+)'", output)
