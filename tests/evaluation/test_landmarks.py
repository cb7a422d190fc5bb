"""Models that landmarks move: evaluated with the cached ones, checked by the registry, used by predict."""

import json
import sys
import warnings

import mlflow
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from skimage.data import astronaut

from faceanim.config import EvaluateConfig
from faceanim.errors import FaceanimError
from faceanim.evaluation import protocol
from faceanim.evaluation.evaluate import evaluate_model
from faceanim.evaluation.methods import ModelMethod
from faceanim.evaluation.protocol import MethodName, Task
from faceanim.evaluation.report import write_report
from faceanim.evaluation.test_set import build_items, load_test_clips, read_clip_frames
from faceanim.faces.landmark_sets import load_landmarks, normalize_landmarks
from faceanim.inference.animator import Animator
from faceanim.media.tensors import resize_frames, to_float
from faceanim.registry import pyfunc, validation
from tests.helpers.evaluation_clips import FEW_CLIPS, SIDE, write_clips
from tests.helpers.tiny import save_models

pytestmark = pytest.mark.slow

CONFIG = EvaluateConfig(batch_size=3, pictures=1, pairs=2, fetch=False)
MISSING = 4
"""Driving frames without landmarks: one of each of two reconstructions and two re-enactments."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    write_clips(folder, clips=FEW_CLIPS)
    save_models(folder / "models", landmarks="dlib")
    tables = folder / "crops.parquet", folder / "landmarks"
    evaluate_model(CONFIG, *tables, folder / "models", folder / "out", lambda *progress: None)
    return folder


@pytest.fixture(scope="module")
def stored(data):
    """The model as it is registered."""
    with warnings.catch_warnings(record=True):  # as in `register.log_model`
        mlflow.pyfunc.save_model(
            data / "stored",
            python_model=pyfunc.__file__,
            artifacts={"faceanim": str(data / "models")},
            pip_requirements=["faceanim"],
        )
    return str(data / "stored")


def test_the_model_has_the_cached_landmarks_in_its_units(data):
    method = ModelMethod(Animator.load(data / "models", "cpu"), data / "landmarks")
    row = load_test_clips(data / "crops.parquet")[0]
    detected, points = load_landmarks(data / "landmarks", row["video_id"])[row["crop_id"]]
    landmarks = method.read_landmarks(row)
    assert np.allclose(landmarks, normalize_landmarks(points, SIDE, 64), atol=1e-6, equal_nan=True)
    assert landmarks.isnan().any(dim=(1, 2)).tolist() == (~detected).tolist()
    plain = save_models(data / "plain", encoder="plain")
    assert ModelMethod(Animator.load(plain, "cpu"), data / "landmarks").read_landmarks(row) is None


def test_landmarks_of_another_detector_are_refused(data, tmp_path):
    model = Animator.load(save_models(tmp_path, landmarks="mediapipe"), "cpu")
    row = load_test_clips(data / "crops.parquet")[0]
    with pytest.raises(FaceanimError, match=r"trained with landmarks of mediapipe: .* of another detector"):
        ModelMethod(model, data / "landmarks").read_landmarks(row)


def test_frames_without_landmarks_are_counted_and_reported(data):
    measured = json.loads((data / "out" / protocol.MEASURED_WITH_FILE).read_text())
    assert measured["without_landmarks"] == MISSING
    items = build_items(load_test_clips(data / "crops.parquet"), CONFIG.pairs)
    plain = Animator.load(save_models(data / "plain", encoder="plain"), "cpu")
    assert ModelMethod(plain, data / "landmarks").count_without_landmarks(items) == 0
    write_report(data / "out", data / "report.html", {}, None, None)
    assert f"keypoints alone move the face: {MISSING}." in (data / "report.html").read_text()


def test_predictions_follow_the_landmarks(data):
    """Before any training, landmarks move the face almost right."""
    animator = Animator.load(data / "models", "cpu")
    method = ModelMethod(animator, data / "landmarks")
    item = build_items(load_test_clips(data / "crops.parquet"), 0)[0]
    assert item.task == Task.RECONSTRUCTION
    frames = slice(1, 1 + item.frames)
    driving = to_float(read_clip_frames(item.driving, frames))
    expected, warped = resize_frames(driving, 64), method.prepare(item)(driving, frames)[MethodName.WARPED]
    copied = method.prepare_source(item).image
    errors, of_copy = ((image - expected).square().mean(dim=(1, 2, 3)) for image in (warped, copied))
    gains = (of_copy / errors).tolist()
    assert min(gains[0], gains[2]) > 1.5
    assert gains[1] < min(gains[0], gains[2])  # a frame without landmarks


def test_a_registered_version_reproduces_what_was_scored(data, stored, tmp_path):
    check = data / "out" / protocol.CHECK_FILE
    arrays = load_file(check)
    assert arrays["source_landmarks"].shape == (1, 68, 2)
    assert arrays["driving_landmarks"].shape == (len(arrays["frames"]), 68, 2)
    assert np.isnan(arrays["driving_landmarks"]).any()
    with safe_open(check, framework="numpy") as file:
        assert file.metadata() == {"item_id": "ada--one--0000000"}
    validation.predict(stored, check, tmp_path / "predicted.safetensors")
    validation.check_predictions(data / "out", load_file(tmp_path / "predicted.safetensors"))
    frames = {name: arrays[name] for name in ("source", "driving", "predicted", "frames")}
    save_file(frames, tmp_path / "alone.safetensors")
    validation.predict(stored, tmp_path / "alone.safetensors", tmp_path / "b.safetensors")
    assert not np.array_equal(load_file(tmp_path / "b.safetensors")["predicted"], arrays["predicted"])


def test_predict_finds_the_faces_itself(data, stored, monkeypatch):
    frames = np.stack([astronaut()[:256, 90 + 4 * n : 346 + 4 * n] for n in range(3)])
    model = mlflow.pyfunc.load_model(stored)
    moved = model.predict({"source": frames[:1], "driving": frames})
    assert moved.shape == (3, 128, 128, 3)
    blank = np.concatenate((frames[:2], np.zeros_like(frames[:1])))
    with pytest.warns(UserWarning, match="1 of 3 driving frames lack landmarks"):
        assert np.array_equal(model.predict({"source": frames[:1], "driving": blank})[:2], moved[:2])
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.warns(UserWarning, match="dlib is not installed; .* keypoints alone move the face"):
        alone = model.predict({"source": frames[:1], "driving": frames})
    assert np.abs(alone[2].astype(int) - moved[2]).max() > 10
