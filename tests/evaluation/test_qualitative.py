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
from faceanim.evaluation.predictions import check_predictions, read_prediction
from faceanim.evaluation.protocol import Task
from faceanim.evaluation.test_set import TestItem, load_test_clips, pair_people, read_clip_frames
from faceanim.evaluation.test_set_export import DRIVING_FOLDER, SOURCE_FOLDER, export_test_set, write_ffv1
from faceanim.schemas import CROPS
from faceanim.tables import read_rows, write_table
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
    todo, candidate = collect_predictions(CONFIG, data / "crops.parquet", videos, size, out, ignore)
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


def test_each_metric_detects_its_degradations(data, tmp_path):
    # All clips show one person in one expression; the other metrics are tested on real clips.
    names = ("shuffled frames", "blurred", "shifted", "frozen", "flickering")
    means = score_degradations(data / "crops.parquet", data / "landmarks", 128, tmp_path, names)
    for name in names:
        metric = DEGRADATIONS[name][1][0]
        assert is_worse(metric, means[name], means[UNCHANGED]), (name, metric)


def test_videos_that_cannot_be_scored(data, tmp_path):
    row, *_ = load_test_clips(data / "crops.parquet")
    with pytest.raises(FaceanimError, match="no such folder"):
        scored(data, tmp_path / "none", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FaceanimError, match=f"first is expected as {row['crop_id']}"):
        scored(data, tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def write_pngs(folder, frames):
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, start=1):  # unpadded: 10.png would sort before 2.png
        cv2.imwrite(str(folder / f"frame{number}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))


def test_all_predictions_that_cannot_be_scored_are_listed_before_any_is_scored(data, tmp_path):
    ada, bea = load_test_clips(data / "crops.parquet")
    pair_1, pair_2 = (
        f"{row}__by__{other}"
        for row, other in ((ada["crop_id"], bea["crop_id"]), (bea["crop_id"], ada["crop_id"]))
    )
    frames, made = read_clip_frames(ada, slice(None)), tmp_path / "made"
    write_ffv1(made / f"{ada['crop_id']}.mkv", frames[:2], Fraction(25))
    write_pngs(made / pair_1, [frames[1], frames[2][:64], frames[3]])
    write_ffv1(made / f"{pair_2}.mkv", frames, Fraction(25))
    whole = (made / f"{pair_2}.mkv").read_bytes()
    (made / f"{pair_2}.mkv").write_bytes(whole[: len(whole) // 2])
    (made / ".DS_Store").touch()
    with pytest.raises(FaceanimError) as caught:
        scored(data, made, tmp_path / "out")
    assert "\n" not in str(caught.value)
    for fault in (
        f"there is none of {bea['crop_id']};",
        f"{ada['crop_id']}.mkv has 2 frames of 128x128 pixels; 3 square frames are needed, or 4 with",
        f"{pair_1} has 3 frames of 128x64 and 128x128 pixels; 3 square frames are needed",
        f"{pair_2}.mkv",
    ):
        assert fault in str(caught.value)
    assert not (tmp_path / "out").exists()
    (made / f"{ada['crop_id']}.txt").touch()
    (made / pair_1 / "frame2.png").write_bytes(b"no image")
    with pytest.raises(FaceanimError) as caught:
        scored(data, made, tmp_path / "out")
    assert f"{ada['crop_id']}.mkv and {ada['crop_id']}.txt are of the same item" in str(caught.value)
    assert "frame2.png: not an image of a supported format, or damaged" in str(caught.value)


def test_folders_of_png_frames_are_predictions_too(data, tmp_path):
    for row in load_test_clips(data / "crops.parquet"):
        write_pngs(tmp_path / "made" / row["crop_id"], read_clip_frames(row, slice(None)))
    predicted = check_predictions(
        tmp_path / "made",
        [
            TestItem(Task.RECONSTRUCTION, row["crop_id"], row, row)
            for row in load_test_clips(data / "crops.parquet")
        ],
        ignore,
    )
    for row in load_test_clips(data / "crops.parquet"):
        assert np.array_equal(
            np.stack([*predicted[row["crop_id"]].read()]), read_clip_frames(row, slice(1, None))
        )


def test_frames_of_a_folder_are_read_in_the_order_of_their_numbers(tmp_path):
    write_pngs(tmp_path / "a", [np.full((32, 32, 3), value, np.uint8) for value in range(12)])
    assert [int(frame[0, 0, 0]) for frame in read_prediction(tmp_path / "a")] == [*range(12)]


def test_missing_crops_and_landmarks_are_reported_before_the_work(data, tmp_path):
    rows = read_rows(data / "crops.parquet", CROPS)
    write_table(
        [row | {"path": str(tmp_path / "gone.avi")} for row in rows], CROPS, tmp_path / "crops.parquet"
    )
    with pytest.raises(FaceanimError, match=r"2 of 2 test clips are missing, such as .*dvc repro crop"):
        load_test_clips(tmp_path / "crops.parquet")
    given = data / "given" / DRIVING_FOLDER
    todo, method = collect_predictions(CONFIG, data / "crops.parquet", given, 128, tmp_path / "out", ignore)
    calls = []
    with pytest.raises(FaceanimError, match="dvc repro landmarks"):
        score_items(CONFIG, todo, method, tmp_path, tmp_path / "out", lambda *call: calls.append(call))
    assert not calls


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
