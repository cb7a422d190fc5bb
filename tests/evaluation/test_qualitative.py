"""Other methods, scored by their videos: `faceanim test-set` and `faceanim evaluate`."""

import json
import sys
from fractions import Fraction

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.sensitivity import DEGRADATIONS, UNCHANGED, is_worse, score_degradations
from faceanim.cli.main import main
from faceanim.config import EvaluateConfig
from faceanim.errors import FaceanimError
from faceanim.evaluation import protocol
from faceanim.evaluation.evaluate import collect_predictions, evaluate_model, nest_metrics, score_items
from faceanim.evaluation.test_set import load_test_clips, pair_people, read_clip_frames
from faceanim.evaluation.test_set_export import DRIVING_FOLDER, SOURCE_FOLDER, export_test_set, write_ffv1
from tests.helpers.evaluation_clips import FEW_CLIPS, write_clips
from tests.helpers.paths import PROJECT
from tests.helpers.tiny import save_models

pytestmark = pytest.mark.slow

CONFIG = EvaluateConfig(batch_size=4, pictures=1, pairs=2, fetch=False)


def ignore(done: int, total: int, note: str = "") -> None:
    """Report no progress."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_clips(folder, clips=FEW_CLIPS)
    export_test_set(folder / "crops.parquet", CONFIG.pairs, folder / "given", ignore)
    return folder


def scored(data, videos, out, size=128):
    todo, candidate = collect_predictions(CONFIG, data / "crops.parquet", videos, size, out)
    return nest_metrics(score_items(CONFIG, todo, candidate, data / "landmarks", out, ignore))


def test_the_exported_test_set_is_lossless(data):
    row = load_test_clips(data / "crops.parquet")[0]
    given = data / "given"
    picture = cv2.cvtColor(
        cv2.imread(str(given / SOURCE_FOLDER / f"{row['crop_id']}.png")), cv2.COLOR_BGR2RGB
    )
    stored = read_clip_frames(row, slice(None))
    assert np.array_equal(picture, stored[0])
    video = cv2.VideoCapture(str(given / DRIVING_FOLDER / f"{row['crop_id']}.mkv"))
    for frame in stored:
        assert np.array_equal(cv2.cvtColor(video.read()[1], cv2.COLOR_BGR2RGB), frame)
    assert not video.read()[0]
    assert len(list((given / DRIVING_FOLDER).iterdir())) == 2 + 2


@pytest.mark.parametrize("size", [128, 64])
def test_the_driving_video_itself_is_perfect(data, tmp_path, size):
    found = scored(data, data / "given" / DRIVING_FOLDER, tmp_path, size)["reconstruction"]
    wanted = {"psnr": 100, "ssim": 1, "ms_ssim": 1, "l1": 0, "akd": 0, "missed": 0, "aed": 0, "csim": 1}
    wanted |= {"pose": 0, "eyes": 0, "mouth": 0, "flicker": 0}
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=1e-4)


def test_a_model_scored_by_its_videos_has_the_same_scores(data, tmp_path):
    """Code and test set are the same; the only difference is rounding to whole levels."""
    from faceanim.inference.animator import Animator
    from faceanim.media.tensors import to_float, to_uint8

    models = save_models(data / "models", encoder="plain")
    tables = data / "crops.parquet", data / "landmarks"
    ours = evaluate_model(CONFIG, *tables, models, tmp_path / "ours", ignore)["reconstruction"]
    animator = Animator.load(models)
    for row in load_test_clips(data / "crops.parquet"):
        frames = to_float(read_clip_frames(row, slice(None)))
        made = to_uint8(animator.frames(animator.prepare(frames[:1]), frames[1:]))
        write_ffv1(tmp_path / "made" / f"{row['crop_id']}.mkv", made, Fraction(25))
    theirs = scored(data, tmp_path / "made", tmp_path / "theirs", 64)["reconstruction"]
    assert theirs["psnr"] == pytest.approx(ours["psnr"], abs=0.02)
    assert theirs["ssim"] == pytest.approx(ours["ssim"], abs=0.002)
    assert theirs["copy_source"] == ours["copy_source"]
    # Even though the videos contain no re-enactment.
    assert protocol.test_set_id(tmp_path / "theirs") == protocol.test_set_id(tmp_path / "ours")


def test_each_metric_detects_its_degradations(data, tmp_path, monkeypatch):
    # All clips show one person in one expression; the other metrics are tested on real clips.
    monkeypatch.delitem(DEGRADATIONS, "another person")
    means = score_degradations(data / "crops.parquet", data / "landmarks", 128, tmp_path)
    for name in ("shuffled frames", "blurred", "shifted", "frozen", "flickering"):
        metric = DEGRADATIONS[name][1][0]
        assert is_worse(metric, means[name], means[UNCHANGED]), (name, metric)


def test_videos_that_cannot_be_scored(data, tmp_path):
    row, *_ = load_test_clips(data / "crops.parquet")
    frames = read_clip_frames(row, slice(None))
    with pytest.raises(FaceanimError, match="no such folder"):
        scored(data, tmp_path / "none", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FaceanimError, match=f"first is expected as {row['crop_id']}"):
        scored(data, tmp_path / "empty", tmp_path / "out")
    wrong = {
        "short": (frames[:2], "3 square frames are needed"),
        "flat": (frames[1:, :64], "3 square frames are needed"),
    }
    for name, (made, message) in wrong.items():
        write_ffv1(tmp_path / name / f"{row['crop_id']}.mkv", made, Fraction(25))
        with pytest.raises(FaceanimError, match=message):
            scored(data, tmp_path / name, tmp_path / "out")
    video = tmp_path / "broken" / f"{row['crop_id']}.mp4"
    video.parent.mkdir()
    video.write_bytes(b"no video")
    with pytest.raises(FaceanimError, match=r"cannot read .* as a video"):
        scored(data, tmp_path / "broken", tmp_path / "out")
    write_ffv1(tmp_path / "one" / f"{row['crop_id']}.mkv", frames, Fraction(25))
    with pytest.raises(FaceanimError, match="has 0 videos of bea--one"):
        scored(data, tmp_path / "one", tmp_path / "out")


@pytest.fixture
def faceanim(monkeypatch, capsys):
    """Run the command in this process: the exit code, and what it printed to standard output and error."""
    monkeypatch.chdir(PROJECT)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["faceanim", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        code = caught.value.code
        return (code if isinstance(code, int) else 0), *capsys.readouterr()

    return run


def test_the_commands(data, tmp_path, faceanim):
    crops, marks = ("--crops", data / "crops.parquet"), ("--landmarks", data / "landmarks")
    _, out, error = faceanim("test-set", tmp_path / "given", *crops)
    count = len(pair_people(load_test_clips(data / "crops.parquet"), 4))
    assert f"{2 + count} sources and driving videos" in out, error
    scores = tmp_path / "scores"
    evaluate = ("evaluate", "--predictions", tmp_path / "given" / DRIVING_FOLDER)
    code, out, error = faceanim(*evaluate, *crops, *marks, "--out", scores)
    assert code == 0, error
    assert "100.00 [100.00, 100.00]" in out
    assert json.loads((scores / "metrics.json").read_text())["reconstruction"]["psnr"] == 100
    page = (scores / "report.html").read_text()
    assert "<video" in page
    assert "100.00" in page
    again = tmp_path / "again"
    assert faceanim(*evaluate, *crops, *marks, "--beside", scores, "--out", again)[0] == 0
    assert "against scores" in (again / "report.html").read_text()
    other, third = tmp_path / "other.parquet", tmp_path / "third"
    pq.write_table(pq.read_table(data / "crops.parquet").slice(1), other)
    _, _, error = faceanim(*evaluate, "--crops", other, *marks, "--beside", scores, "--out", third)
    assert "a different test set" in error
    assert not (third / "scores.parquet").exists()  # reported before the scoring
    missing = ("evaluate", "--predictions", tmp_path / "nothing")
    code, _, error = faceanim(*missing, *crops, *marks, "--out", scores)
    assert (code, error.count("\n")) == (1, 1)
