"""A copy of the project with tiny networks and short videos, for tests that run the pipeline."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from configparser import ConfigParser
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from faceanim.media.encode import write_mp4
from faceanim.media.video import probe, read_frames
from faceanim.synthetic import list_videos, render_sample
from tests.helpers.environment import build_environment
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
            "landmarks": "dlib",
            "motion_size": 32,
            "field_size": 64,
            "max_residual": 0.1,
            "encoder": "plain",
            "decoder_channels": [16, 8, 8, 8, 8],
            "motion_channels": 4,
            "motion_blocks": 1,
            "generator": "painter",
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
CODE = (
    ".dvc/config", ".dvc/.gitignore", ".dvc/plots", ".dvcignore", ".gitignore", "dvc.yaml", "faceanim",
    "flows", "prefect.yaml", "profiles", "sample/dvc.yaml", "stages",
)  # fmt: skip
"""Files and folders of a copy. Without dvc.lock and all else that a run makes, even if it was committed."""


class Project:
    """A copy of the project under git, and methods to run commands in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Built anew, because MLflow writes the address of its last store to the environment of the process.
        self.environment = build_environment(os.environ, Path.home())

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
        """Copy the project with all that its runs left."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)


def list_tracked(origin: Path, *paths: str) -> list[str]:
    """List the files that git tracks below some paths; a new file is missing until it is added."""
    command = ["git", "ls-files", "-z", "--cached", "--", *paths]
    listed = subprocess.run(command, cwd=origin, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip(f"tests copy what git tracks, and cannot read it: {listed.stderr.strip()}")
    return [name for name in listed.stdout.split("\0") if name and (origin / name).is_file()]


def copy_code(folder: Path, origin: Path = PROJECT) -> None:
    """Copy the project's code, as it is in the working tree, with tiny parameters.

    Without what users change: params.yaml is made from a profile, and DVC's remotes and caches are left out.
    """
    for name in list_tracked(origin, *CODE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(origin / name, folder / name)
    config = ConfigParser()
    config.read(folder / ".dvc/config")
    for section in config.sections():
        if section != "core":
            config.remove_section(section)
    with (folder / ".dvc/config").open("w") as file:
        config.write(file)
    yaml = YAML()
    params = yaml.load(folder / "profiles/sample.yaml")
    for section, values in CHANGES.items():
        params[section].update(values)
    yaml.dump(params, folder / "params.yaml")


def copy_project(folder: Path) -> Project:
    """Copy the project's code, with tiny parameters and three videos, and commit it."""
    copy_code(folder)
    for name, content in render_videos().items():
        path = folder / f"videos/{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    project = Project(folder)
    with (folder / ".gitignore").open("a") as ignored:
        ignored.write("/videos/\n")
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
