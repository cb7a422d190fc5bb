import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open

from faceanim.config import EvaluateConfig, SuperResolutionModelConfig
from faceanim.errors import FaceanimError
from faceanim.evaluation import protocol
from faceanim.evaluation.evaluate import evaluate_model, summarize_metrics
from faceanim.evaluation.image_metrics import compute_frame_metrics
from faceanim.evaluation.protocol import FRAME_SCORES, METRIC_NAMES, PAIRS, SCORES, TEST_SET, MethodName, Task
from faceanim.evaluation.qualitative import one_per_person
from faceanim.evaluation.test_set import TestItem
from faceanim.media.tensors import to_float
from faceanim.media.video import probe
from faceanim.models.build import build_super_resolution
from faceanim.models.storage import save_super_resolution
from faceanim.schemas import CROPS
from faceanim.tables import flatten_keys, read_rows, write_table
from tests.helpers.evaluation_clips import FEW_CLIPS, write_clips
from tests.helpers.tiny import save_models

pytestmark = pytest.mark.slow

CONFIG = EvaluateConfig(batch_size=3, pictures=2, pairs=2, fetch=False)
ADA_ONE, ADA_TWO, BEA = (f"{name}--0000000" for name in ("ada--one", "ada--two", "bea--one"))


def ignore(done: int, total: int, note: str = "") -> None:
    """Report no progress."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    write_clips(folder)
    save_models(folder / "models", encoder="plain")
    return folder


def run(data: Path, out: Path, models: Path | None = None, on_progress=ignore):
    models = models or data / "models"
    return evaluate_model(CONFIG, data / "crops.parquet", data / "landmarks", models, out, on_progress)


@pytest.fixture(scope="module")
def evaluated(data):
    progress = []
    metrics = run(data, data / "out", on_progress=lambda *call: progress.append(call))
    return metrics, data / "out", progress


def test_metrics_are_nested_as_documented(evaluated):
    metrics, _, progress = evaluated
    assert set(metrics) == set(Task)
    reconstruction = metrics["reconstruction"]
    assert {"psnr", "ssim", "ms_ssim", "l1", "akd", "missed", "flicker"} <= set(reconstruction)
    assert set(reconstruction["copy_source"]) == {"psnr", "ssim", "l1", "akd", "csim"}
    assert set(reconstruction["warped"]) == {"psnr", "ssim", "l1", "akd", "csim"}
    assert set(protocol.REGION_METRICS) < set(reconstruction)
    assert {"landmark_warp", "super_resolved", "bicubic"} < set(reconstruction)
    assert "psnr" not in metrics["reenactment"]  # a re-enactment has no ground truth
    assert {"csim", "pose", "missed"} < set(metrics["reenactment"])
    assert {"psnr", "bicubic"} < set(metrics["super_resolution"])
    # Neither the train split nor first frames count.
    assert (reconstruction["clips"], reconstruction["frames"], reconstruction["people"]) == (3, 13, 2)
    assert (metrics["reenactment"]["clips"], metrics["super_resolution"]["clips"]) == (2, 3)
    assert progress[0] == (0, 8)
    assert progress[-1] == (8, 8)


def test_the_summary_for_dvc_has_the_model_beside_its_baselines(evaluated):
    metrics = evaluated[0]
    summary = flatten_keys(summarize_metrics(metrics))
    assert {"psnr", "ssim", "akd", "copy_source.psnr", "landmark_warp.akd"} < set(summary)
    assert len(summary) <= 11
    reconstruction = metrics["reconstruction"]
    assert summary["psnr"] == reconstruction["psnr"]
    assert summary["landmark_warp.akd"] == reconstruction["landmark_warp"]["akd"]
    assert summary["super_resolution.psnr_bicubic"] == metrics["super_resolution"]["bicubic"]["psnr"]


def test_landmarks_explain_a_moving_face(evaluated):
    reconstruction = evaluated[0]["reconstruction"]
    assert reconstruction["landmark_warp"]["psnr"] > reconstruction["copy_source"]["psnr"] + 1


def test_copy_of_the_source_against_a_plain_computation(data, evaluated):
    rows = [row for row in read_rows(data / "crops.parquet", CROPS) if row["split"] == "test"]
    clips = []
    for row in rows:
        frames = []
        stored = Path(row["path"]).read_bytes()
        for offset, length in zip(row["frame_offsets"], row["frame_lengths"], strict=True):
            jpeg = np.frombuffer(stored[offset : offset + length], np.uint8)
            frame = cv2.imdecode(jpeg, cv2.IMREAD_COLOR).astype(np.float64) / 255
            frames.append(frame.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3)))
        clips.append(np.mean([10 * np.log10(1 / np.mean((frame - frames[0]) ** 2)) for frame in frames[1:]]))
    found = evaluated[0]["reconstruction"]["copy_source"]["psnr"]
    assert found == pytest.approx(np.mean(clips), abs=1e-3)  # of clips, not of frames


def test_regions_are_measured_where_there_are_landmarks_and_a_ground_truth(evaluated):
    rows = read_rows(evaluated[1] / protocol.FRAMES_FILE, FRAME_SCORES)
    animated = {"prediction", "warped", "copy_source", "landmark_warp"}
    for row in rows:
        measured = [name for name in protocol.REGION_METRICS if row[name] is not None]
        if row["task"] == Task.RECONSTRUCTION and row["method"] in animated and row["frame"] != 2:
            assert {"psnr_mouth", "psnr_face"} <= set(measured)
        else:  # frame 2 has no landmarks
            assert measured == []
    mouths = {
        method: np.mean([row["psnr_mouth"] for row in rows if row["method"] == method and row["psnr_mouth"]])
        for method in ("copy_source", "landmark_warp")
    }
    assert mouths["landmark_warp"] > mouths["copy_source"] + 1


def test_protocol_and_test_set(evaluated):
    _, out, _ = evaluated
    clips = read_rows(out / protocol.CLIPS_FILE, TEST_SET)
    assert [(row["crop_id"], row["frames"]) for row in clips] == [(ADA_ONE, 3), (ADA_TWO, 6), (BEA, 4)]
    assert len({row["sha256"] for row in clips}) == 3
    pairs = read_rows(out / protocol.PAIRS_FILE, PAIRS)
    assert all(row["source_crop_id"][:3] != row["driving_crop_id"][:3] for row in pairs)
    assert json.loads((out / protocol.PROTOCOL_FILE).read_text())["size"] == 64
    measured_with = json.loads((out / protocol.MEASURED_WITH_FILE).read_text())
    assert set(measured_with["networks"]) >= {"landmarks", "identity"}
    assert set(measured_with["left_out"]) >= {"lpips"}


def test_tables_agree(evaluated):
    metrics, out, _ = evaluated
    scores = read_rows(out / protocol.SCORES_FILE, SCORES)
    frames = read_rows(out / protocol.FRAMES_FILE, FRAME_SCORES)
    methods = {task: {row["method"] for row in scores if row["task"] == task} for task in Task}
    assert methods[Task.RECONSTRUCTION] == methods[Task.REENACTMENT] == set(MethodName)
    assert methods[Task.SUPER_RESOLUTION] == {"super_resolved", "bicubic"}
    for row in scores:
        own = [f for f in frames if all(f[key] == row[key] for key in ("task", "method", "item_id"))]
        assert [frame["frame"] for frame in own] == list(range(1, 1 + row["frames"]))
        for name in METRIC_NAMES:
            values = [frame[name] for frame in own if frame[name] is not None]
            assert row[name] == (pytest.approx(np.mean(values)) if values else None)
    ours = [row["psnr"] for row in scores if (row["task"], row["method"]) == ("reconstruction", "prediction")]
    assert np.mean(ours) == pytest.approx(metrics["reconstruction"]["psnr"])
    # Identity is measured in every fifth frame, because it costs most.
    measured = [row["frame"] for row in frames if row["item_id"] == ADA_TWO and row["csim"] is not None]
    assert set(measured) <= {1, 6}
    assert measured


def test_frames_for_checking_a_copy_of_the_model(evaluated):
    _, out, _ = evaluated
    with safe_open(out / protocol.CHECK_FILE, "numpy") as file:
        item, tensors = file.metadata()["item_id"], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert item == ADA_ONE
    assert tensors["frames"].tolist() == [1, 2, 3]
    found = compute_frame_metrics(to_float(tensors["predicted"]), to_float(tensors["driving"]))["psnr"]
    wanted = [
        row["psnr"]
        for row in read_rows(out / protocol.FRAMES_FILE, FRAME_SCORES)
        if (row["task"], row["method"], row["item_id"]) == ("reconstruction", "super_resolved", item)
    ]
    assert found.tolist() == pytest.approx(wanted, abs=0.02)  # up to rounding to whole levels


def test_grid_and_videos(evaluated):
    _, out, _ = evaluated
    sheet = cv2.imread(str(out / protocol.PICTURES_FILE))
    assert sheet.shape[1] == 6 + 8 * (256 + 6)
    assert (sheet[:30] < 100).any()  # the titles
    index = json.loads((out / protocol.VIDEOS_FOLDER / "index.json").read_text())
    assert [(entry["task"], entry["rank"]) for entry in index] == [
        ("reconstruction", "best"),
        ("reconstruction", "median"),
        ("reconstruction", "worst"),
        ("reenactment", "best"),
        ("reenactment", "worst"),
        ("super_resolution", "best"),
        ("super_resolution", "median"),
        ("super_resolution", "worst"),
    ]
    values = [entry["value"] for entry in index[:3]]
    assert values == sorted(values, reverse=True)
    for entry in index:
        assert probe(out / protocol.VIDEOS_FOLDER / entry["file"]).frames in (3, 4, 6)
    traps = json.loads((out / protocol.PITFALLS_FILE).read_text())
    assert traps["item_id"] == ADA_ONE


def test_the_grid_shows_different_people_first():
    clips = [
        TestItem(Task.RECONSTRUCTION, f"{person}{n}", {}, {"person_id": person})
        for person, n in (("a", 0), ("a", 1), ("a", 2), ("b", 0), ("c", 0), ("c", 1))
    ]
    assert [item.item_id for item in one_per_person(clips, 5)] == ["a0", "b0", "c0", "a1", "c1"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_twice_is_the_same_bytes(data, evaluated):
    again = run(data, data / "again")
    assert again == evaluated[0]
    assert contents(data / "again") == contents(evaluated[1])


def test_another_model_has_the_same_test_set(data, evaluated):
    save_models(data / "other", seed=1, encoder="plain")
    run(data, data / "second", data / "other")
    assert protocol.test_set_id(data / "second") == protocol.test_set_id(evaluated[1])
    scores = [pq.read_table(folder / protocol.SCORES_FILE) for folder in (data / "second", evaluated[1])]
    assert not scores[0].equals(scores[1])


def test_no_test_clip(data, tmp_path):
    rows = [row for row in read_rows(data / "crops.parquet", CROPS) if row["split"] == "train"]
    write_table(rows, CROPS, tmp_path / "crops.parquet")
    with pytest.raises(FaceanimError, match="no accepted clip in the test split"):
        evaluate_model(
            CONFIG, tmp_path / "crops.parquet", data / "landmarks", data / "models", tmp_path / "out", ignore
        )
    assert not (tmp_path / "out").exists()


def test_crops_of_another_size(data, tmp_path):
    shutil.copytree(data / "models" / "animation", tmp_path / "models" / "animation")
    config = SuperResolutionModelConfig(factor=4, channels=4, generated_strength=0.5)
    save_super_resolution(build_super_resolution(config), config, tmp_path / "models" / "super_resolution")
    with pytest.raises(FaceanimError, match="128 pixels wide, but the model outputs 256"):
        run(data, tmp_path / "out", tmp_path / "models")


def test_a_model_that_restores_is_given_coded_frames(data, tmp_path):
    shutil.copytree(data / "models" / "animation", tmp_path / "models" / "animation")
    config = SuperResolutionModelConfig(factor=1, channels=4, generated_strength=0.5)
    save_super_resolution(build_super_resolution(config), config, tmp_path / "models" / "super_resolution")
    # Crops of the size of the frames that it outputs.
    small = tmp_path / "small"
    write_clips(small, side=64, clips=FEW_CLIPS)
    metrics = evaluate_model(
        CONFIG, small / "crops.parquet", small / "landmarks", tmp_path / "models", tmp_path / "out", ignore
    )
    assert 20 < metrics["super_resolution"]["psnr"] < 60
