"""The whole pipeline at its smallest, with `dvc repro`, on a copy of the project."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from faceanim.data.video import probe
from faceanim.sample import make_sample, videos

PROJECT = Path(__file__).parents[1]
ENGINE = {
    "precision": "fp32",
    "compile": False,
    "accumulate": 1,
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
GOOD = [video.key for video in videos() if video.kind == "good"]
(DAMAGED,) = [video.key for video in videos() if video.kind == "damaged"]

pytestmark = pytest.mark.pipeline


class Project:
    """A copy of the project in a folder of its own, under git."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        hidden = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL")
        self.environment = {key: value for key, value in os.environ.items() if key not in hidden} | {
            "PATH": path
        }

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

    def dvc(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments).stdout

    def read(self, path: str) -> dict:
        return json.loads((self.folder / path).read_text())


def ran(output: str) -> list[str]:
    return re.findall(r"Running stage '([\w/.:]+)'", output)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
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
    make_sample(folder / "videos", names=[*pick("p01", 1), *pick("p02", 1), DAMAGED])
    project = Project(folder)
    (folder / ".gitignore").open("a").write("/videos/\n")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "a copy"]):
        project.run("git", "-c", "user.name=test", "-c", "user.email=test@example.org", *command)
    return project


def pick(person: str, count: int) -> list[str]:
    return [key for key in GOOD if key.startswith(f"{person}/")][:count]


def test_from_videos_to_an_animated_portrait(project, tmp_path):
    output = project.dvc("repro")
    assert ran(output) == [
        "index", "download", "crop", "landmarks", "train_animation", "train_sr", "evaluate", "register",
    ]  # fmt: skip

    downloaded = project.read("reports/download.json")
    assert downloaded["videos"]["truncated"] == 1
    figures = project.read("reports/metrics.json")
    for method in (figures["reconstruction"], figures["reconstruction"]["copy_source"]):
        assert method["psnr"] > 10
        assert 0 < method["ssim"] < 1
    assert project.read("reports/registered.json")["champion"]
    assert "reconstruction.psnr" in project.dvc("metrics", "show")
    assert (project.folder / "reports/evaluation/pictures.png").stat().st_size > 10_000

    assert "up to date" in project.dvc("repro")

    # The registered model, used somewhere else, with nothing but the registry's address.
    driving = next((project.folder / "videos" / "p02").glob("*.mp4"))
    portrait = tmp_path / "portrait.png"
    project.run(
        sys.executable, "-c",
        "import sys; from skimage import data, io; io.imsave(sys.argv[1], data.astronaut())", str(portrait),
    )  # fmt: skip
    address = f"sqlite:///{project.folder}/mlruns/mlflow.db"
    out = tmp_path / "out.mp4"
    project.run(
        sys.executable, "-m", "faceanim", "animate", str(portrait), str(driving), str(out),
        cwd=tmp_path, MLFLOW_TRACKING_URI=address, MLFLOW_ALLOW_PICKLE_DESERIALIZATION="false",
    )  # fmt: skip
    made, given = probe(out), probe(driving)
    assert (made.frames, made.fps, made.has_audio) == (given.frames, given.fps, given.has_audio)
    assert (made.width, made.height) == (128, 128)


def test_a_new_video_costs_its_own_work_only(project):
    make_sample(project.folder / "videos", names=pick("p05", 1))
    output = project.dvc("repro", "landmarks")
    assert ran(output) == ["index", "download", "crop", "landmarks"]
    # Each begins with all but the new video done; the damaged one has nothing to crop.
    for begins in ("download: 3/4", "crop: 2/3", "landmarks: 2/3"):
        assert begins in output
    (project.folder / "videos" / f"{pick('p05', 1)[0]}.mp4").unlink()
    project.dvc("repro", "landmarks")
    assert not [path for path in (project.folder / "data").rglob("*") if "p05" in path.name]


def test_an_experiment_runs_what_its_parameter_changes(project):
    project.dvc("repro")
    output = project.dvc("exp", "run", "-S", "train_sr.steps=3")
    assert ran(output) == ["train_sr", "evaluate", "register"]
