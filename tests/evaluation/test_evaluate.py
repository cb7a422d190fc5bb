import csv
import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from skimage.data import astronaut

from faceanim.config import EvaluateConfig
from faceanim.data.clips import write_clip
from faceanim.errors import FaceanimError
from faceanim.evaluation.evaluate import METHODS, Scored, choose, evaluate
from faceanim.evaluation.metrics import METRICS
from faceanim.schemas import CROPS, SCORES, TEST_SET, Reason, Status, landmarks_schema
from faceanim.tables import read_rows, write_table
from tests.tiny import save_models

CONFIG = EvaluateConfig(batch_size=3, pictures=2)
SIDE = 128
STEP = 4
"""Pixels by which the face moves to the left in each frame."""


def ignore(done: int, total: int) -> None:
    pass


def moving_face(count: int, top: int) -> list[np.ndarray]:
    return [astronaut()[top : top + SIDE, 150 + STEP * n : 150 + SIDE + STEP * n] for n in range(count)]


def write_crop(folder: Path, person: str, name: str, split: str, count: int, top: int = 40) -> dict:
    clip_id = f"{person}--{name}"
    crop_id = f"{clip_id}--0000000"
    path = folder / "crops" / f"{crop_id}.avi"
    offsets, lengths = write_clip(path, moving_face(count, top), Fraction(25), 95)
    rng = np.random.default_rng(0)
    first = rng.uniform(40, 90, size=(68, 2))
    landmarks = [
        {
            "crop_id": crop_id,
            "frame": n,
            "detected": n != 2,
            "box": [30, 30, 90, 90] if n != 2 else None,
            "score": 1.0 if n != 2 else None,
            "points": (first - [STEP * n, 0]).ravel().tolist() if n != 2 else None,
        }
        for n in range(count)
    ]
    write_table(landmarks, landmarks_schema(68), folder / "landmarks" / f"{clip_id}.parquet")
    return {
        "crop_id": crop_id,
        "clip_id": clip_id,
        "video_id": clip_id,
        "person_id": person,
        "split": split,
        "path": str(path),
        "first_frame": 0,
        "last_frame": count - 1,
        "fps": 25.0,
        "box": [0, 0, SIDE, SIDE],
        "end_reason": "end",
        "status": Status.OK,
        "reason": Reason.NONE,
        "frame_offsets": offsets,
        "frame_lengths": lengths,
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    rows = [
        write_crop(folder, "bea", "one", "test", 5),
        write_crop(folder, "ada", "two", "test", 8, top=60),
        write_crop(folder, "ada", "one", "test", 4, top=50),
        write_crop(folder, "cyd", "one", "train", 4),
    ]
    write_table(rows, CROPS, folder / "crops.parquet")
    save_models(folder / "models")
    return folder


@pytest.fixture(scope="module")
def evaluated(data):
    told = []
    metrics = evaluate(
        CONFIG,
        data / "crops.parquet",
        data / "landmarks",
        data / "models",
        data / "out",
        lambda *seen: told.append(seen),
    )
    return metrics, data / "out", told


def test_metrics_are_nested_as_the_design_says(evaluated):
    metrics, _, told = evaluated
    assert set(metrics) == {"reconstruction", "super_resolution"}
    figures = {*METRICS}
    assert set(metrics["reconstruction"]) == figures | {"clips", "frames", "copy_source", "landmark_warp"}
    assert set(metrics["reconstruction"]["copy_source"]) == figures
    assert set(metrics["reconstruction"]["landmark_warp"]) == figures | {"frames_without_landmarks"}
    assert set(metrics["super_resolution"]) == figures | {"bicubic"}
    assert set(metrics["super_resolution"]["bicubic"]) == figures
    # No train split, no first frames; one frame of each clip has no landmarks.
    assert metrics["reconstruction"]["clips"] == 3
    assert metrics["reconstruction"]["frames"] == 7 + 4 + 3
    assert metrics["reconstruction"]["landmark_warp"]["frames_without_landmarks"] == 3
    assert told[0] == (0, 3)
    assert told[-1] == (3, 3)


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
    assert found == pytest.approx(np.mean(clips), abs=1e-3)


def test_tables(evaluated):
    metrics, out, _ = evaluated
    test_set = read_rows(out / "clips.parquet", TEST_SET)
    assert [(row["crop_id"], row["frames"]) for row in test_set] == [
        ("ada--one--0000000", 3),
        ("ada--two--0000000", 7),
        ("bea--one--0000000", 4),
    ]
    assert len({row["sha256"] for row in test_set}) == 3
    assert pq.read_schema(out / "clips.parquet").metadata[b"size"] == b"64"
    scores = read_rows(out / "scores.parquet", SCORES)
    assert len(scores) == 3 * len(METHODS)
    ours = [row["psnr"] for row in scores if row["method"] == "reconstruction"]
    assert np.mean(ours) == pytest.approx(metrics["reconstruction"]["psnr"])
    with (out / "psnr.csv").open(newline="") as file:
        drawn = list(csv.DictReader(file))
    assert [float(row["prediction"]) for row in drawn] == pytest.approx(ours, abs=1e-4)


def test_picture_grid(evaluated):
    sheet = cv2.imread(str(evaluated[1] / "pictures.png"))
    assert sheet.shape == (30 + 2 * 134, 6 + 6 * 134, 3)
    assert (sheet[:4] == 255).all()
    assert (sheet[:30] < 100).any()  # the titles
    # The last column's pictures are not the source's.
    assert np.abs(sheet[30:158, 6:134].astype(int) - sheet[30:158, 140:268]).mean() > 5


def test_pictures_show_different_people_first():
    clips = [
        Scored({"person_id": person, "crop_id": f"{person}{n}"}, {}, 1)
        for person, n in (("a", 0), ("a", 1), ("a", 2), ("b", 0), ("c", 0), ("c", 1))
    ]
    assert [clip.row["crop_id"] for clip in choose(clips, 5)] == ["a0", "b0", "c0", "a1", "c1"]


def test_twice_is_the_same_bytes(data, evaluated):
    again = evaluate(
        CONFIG, data / "crops.parquet", data / "landmarks", data / "models", data / "again", ignore
    )
    assert again == evaluated[0]
    for name in ("clips.parquet", "scores.parquet", "psnr.csv", "pictures.png"):
        assert (data / "again" / name).read_bytes() == (evaluated[1] / name).read_bytes()


def test_another_model_has_the_same_test_set(data, evaluated):
    save_models(data / "other", seed=1)
    evaluate(CONFIG, data / "crops.parquet", data / "landmarks", data / "other", data / "second", ignore)
    assert (data / "second" / "clips.parquet").read_bytes() == (evaluated[1] / "clips.parquet").read_bytes()
    assert (data / "second" / "scores.parquet").read_bytes() != (evaluated[1] / "scores.parquet").read_bytes()


def test_no_test_clip(data, tmp_path):
    rows = [row for row in read_rows(data / "crops.parquet", CROPS) if row["split"] == "train"]
    write_table(rows, CROPS, tmp_path / "crops.parquet")
    with pytest.raises(FaceanimError, match="no accepted clip in the test split"):
        evaluate(
            CONFIG, tmp_path / "crops.parquet", data / "landmarks", data / "models", tmp_path / "out", ignore
        )
    assert not (tmp_path / "out").exists()


def test_crops_of_another_size(data, tmp_path):
    from faceanim.config import SuperResolutionModelConfig
    from faceanim.models.build import build_super_resolution
    from faceanim.models.storage import save_super_resolution

    shutil.copytree(data / "models" / "animation", tmp_path / "models" / "animation")
    config = SuperResolutionModelConfig(factor=4, channels=4, generated_strength=0.5)
    save_super_resolution(build_super_resolution(config), config, tmp_path / "models" / "super_resolution")
    with pytest.raises(FaceanimError, match="128 pixels wide and the model makes 256"):
        evaluate(
            CONFIG, data / "crops.parquet", data / "landmarks", tmp_path / "models", tmp_path / "out", ignore
        )
