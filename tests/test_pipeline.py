"""The whole pipeline with `dvc repro`, on a copy of the project with tiny parameters."""

import pytest

from faceanim.media.video import probe
from faceanim.synthetic import render_sample
from tests.helpers.project import STAGES, pick, ran

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def project(reproduced, tmp_path_factory):
    return reproduced[0].copy(tmp_path_factory.mktemp("pipeline") / "project")


def test_from_videos_to_an_animated_portrait(reproduced, portrait, tmp_path):
    project, output = reproduced
    assert ran(output) == STAGES

    downloaded = project.read("reports/download.json")
    assert downloaded["videos"]["truncated"] == 1
    figures = project.read("reports/metrics.json")
    for method in (figures["reconstruction"], figures["reconstruction"]["copy_source"]):
        assert method["psnr"] > 10
        assert 0 < method["ssim"] < 1
    assert project.read("reports/registered.json")["champion"]
    shown = project.dvc("metrics", "show")
    assert {"psnr", "copy_source.psnr", "landmark_warp.akd", "super_resolution.psnr_bicubic"} <= {
        *shown.split()
    }
    assert max(map(len, shown.splitlines())) < 240
    assert (project.folder / "reports/evaluation/pictures.png").stat().st_size > 10_000

    assert "up to date" in project.dvc("repro")

    # The registered model is used elsewhere, with only the address of the registry.
    driving = next((project.folder / "videos" / "p02").glob("*.mp4"))
    address = f"sqlite:///{project.folder}/mlruns/mlflow.db"
    out = tmp_path / "out.mp4"
    project.faceanim(
        "animate", str(portrait), str(driving), str(out),
        cwd=tmp_path, MLFLOW_TRACKING_URI=address, MLFLOW_ALLOW_PICKLE_DESERIALIZATION="false",
    )  # fmt: skip
    made, given = probe(out), probe(driving)
    assert (made.frames, made.fps, made.has_audio) == (given.frames, given.fps, given.has_audio)
    assert (made.width, made.height) == (128, 128)


def test_a_new_video_costs_its_own_work_only(project):
    render_sample(project.folder / "videos", names=pick("p05", 1))
    output = project.dvc("repro", "landmarks")
    assert ran(output) == ["index", "download", "crop", "landmarks"]
    # Each stage begins with all but the new video done; the damaged one has nothing to crop.
    for begins in ("download: 3/4", "crop: 2/3", "landmarks: 2/3"):
        assert begins in output
    (project.folder / "videos" / f"{pick('p05', 1)[0]}.mp4").unlink()
    project.dvc("repro", "landmarks")
    assert not [path for path in (project.folder / "data").rglob("*") if "p05" in path.name]
