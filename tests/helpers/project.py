"""A copy of the project at its smallest, for tests that run the pipeline."""

import json
import os
import re
import shutil
import subprocess
import sys
from fractions import Fraction
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
    "train_animation": {"steps": 6, "batch_size": 2, "engine": ENGINE | {"checkpoint_every": 3}},
    "train_sr": {"steps": 4, "batch_size": 2, "engine": ENGINE | {"checkpoint_every": 2}},
    "evaluate": {"pictures": 1},
}
FRAMES = 26
"""Of each video; crops of less than 24 frames are rejected."""
STAGES = ["index", "download", "crop", "landmarks", "train_animation", "train_sr", "evaluate", "register"]
GOOD = [video.key for video in list_videos() if video.kind == "good"]
(DAMAGED,) = [video.key for video in list_videos() if video.kind == "damaged"]
# Addresses and accounts of whoever runs the tests.
HIDDEN = ("MLFLOW_", "PREFECT_API_URL", "AWS_")
AUTHOR = {
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
}


class Project:
    """A copy of the project in a folder of its own, under git, and how to run things in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        shown = {key: value for key, value in os.environ.items() if not key.startswith(HIDDEN)}
        self.environment = shown | AUTHOR | {"PATH": path}

    def run(
        self, *command: str, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=cwd or self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:]
        return done

    def dvc(self, *arguments: str, **environment: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments, **environment).stdout

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).stdout

    def faceanim(self, *arguments: str, cwd: Path | None = None, **environment: str) -> str:
        return self.run(sys.executable, "-m", "faceanim", *arguments, cwd=cwd, **environment).stdout

    def read(self, path: str) -> dict:
        return json.loads((self.folder / path).read_text())

    def copy(self, folder: Path) -> "Project":
        """The same with a registry of its own, still empty: MLflow's holds absolute paths."""
        shutil.copytree(self.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("mlruns"))
        return Project(folder)


def copy_project(folder: Path) -> Project:
    """What git has of the project but its tests, with the smallest parameters and three videos."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if name.startswith(("tests/", "docs/")) or not (PROJECT / name).is_file():
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, folder / name)
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    for section, values in CHANGES.items():
        params[section].update(values)
    yaml.dump(params, folder / "params.yaml")
    render_sample(folder / "videos", names=[*pick("p01", 1), *pick("p02", 1), DAMAGED])
    for name in (*pick("p01", 1), *pick("p02", 1)):
        shorten(folder / f"videos/{name}.mp4")
    project = Project(folder)
    (folder / ".gitignore").open("a").write("/videos/\n")
    project.git("init", "-q")
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "a copy")
    return project


def shorten(video: Path) -> None:
    """Keep the first frames of a video, just enough for a crop."""
    fps = probe(video).fps
    frames = list(islice(read_frames(video, "pyav"), FRAMES))
    video.unlink()
    write_mp4(video, frames, Fraction(fps).limit_denominator(1001))


def pick(person: str, count: int) -> list[str]:
    return [key for key in GOOD if key.startswith(f"{person}/")][:count]


def ran(output: str) -> list[str]:
    return re.findall(r"Running stage '([\w/.:]+)'", output)
