"""The scripts in examples/, on a pipeline that has run."""

import json
import sys

import cv2
import pytest

from faceanim.media.video import probe
from tests.helpers.paths import PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.fixture(scope="module")
def run(reproduced):
    project, _ = reproduced

    def run(name, *arguments):
        return project.run(sys.executable, str(PROJECT / f"examples/{name}.py"), *map(str, arguments)).stdout

    return run


def test_animate_portrait(run, portrait, driving, model, tmp_path):
    out = tmp_path / "out.mp4"
    assert str(out) in run("animate_portrait", portrait, driving, out, "--model", model)
    assert probe(out).frames == probe(driving).frames
    assert probe(out).has_audio


def test_a_method_that_copies_the_source_scores_as_the_baseline_does(run, reproduced, tmp_path):
    run("score_method", tmp_path / "copied")
    scores = json.loads((tmp_path / "copied/evaluation/metrics.json").read_text())["reconstruction"]
    assert scores["psnr"] == pytest.approx(scores["copy_source"]["psnr"], abs=1e-3)


def test_fetch_champion(run, reproduced, tmp_path):
    address = f"sqlite:///{reproduced[0].folder}/mlruns/mlflow.db"
    assert "predictions (3, 128, 128, 3)" in run("fetch_champion", address, tmp_path / "champion.png")
    assert cv2.imread(str(tmp_path / "champion.png")).shape == (256, 384, 3)
