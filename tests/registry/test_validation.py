"""Validation of the scores that an evaluation reports; `test_register` covers the clean process."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from faceanim.errors import FaceanimError
from faceanim.evaluation import protocol
from faceanim.evaluation.protocol import (
    CHECK_FILE,
    FRAME_SCORES,
    FRAMES_FILE,
    PROTOCOL_FILE,
    REGION_METRICS,
    SCORES_FILE,
    MethodName,
)
from faceanim.evaluation.protocol import SCORES as SCORES_SCHEMA
from faceanim.inference.animator import Animator
from faceanim.media.tensors import to_float, to_uint8
from faceanim.registry.store import Version
from faceanim.registry.validation import check_predictions, check_tables, psnr_agrees, read_tensors
from faceanim.tables import read_rows, write_table
from tests.helpers.evaluations import write_evaluation


@pytest.fixture
def evaluation(models, tmp_path):
    out = tmp_path / "evaluation"
    metrics = write_evaluation(models, out)
    return out, metrics["reconstruction"]["psnr"]


def predict(models, evaluation):
    frames = load_file(evaluation / CHECK_FILE)
    animator = Animator.load(models, "cpu")
    animated = animator.frames(animator.prepare(to_float(frames["source"])), to_float(frames["driving"]))
    return {"predicted": to_uint8(animator.enlarge(animated)), "animated": animated.numpy()}


def version(evaluation, psnr):
    return Version(1, "run", {"test_set": protocol.test_set_id(evaluation), "psnr": str(psnr)}, (), "")


def test_the_model_that_was_scored_passes(evaluation, models):
    folder, psnr = evaluation
    check_predictions(folder, predict(models, folder))
    check_tables(folder, version(folder, psnr))


def test_another_model_is_detected(evaluation, models, other_models):
    folder, _ = evaluation
    with pytest.raises(FaceanimError, match="differ from those that were scored"):
        check_predictions(folder, predict(other_models, folder))
    smaller = {name: values[:, ::2, ::2] for name, values in predict(models, folder).items()}
    with pytest.raises(FaceanimError, match="have shape"):
        check_predictions(folder, smaller)


def test_rounding_differences_of_another_processor_pass(evaluation, models):
    folder, _ = evaluation
    made = predict(models, folder)
    rng = np.random.default_rng(0)
    off = rng.choice([-1, 0, 1], p=[0.05, 0.9, 0.05], size=made["predicted"].shape)
    made["predicted"] = np.clip(made["predicted"] + off, 0, 255).astype(np.uint8)
    check_predictions(folder, made)


@pytest.mark.parametrize("method", [MethodName.PREDICTION, MethodName.SUPER_RESOLVED])
def test_scores_that_the_predictions_do_not_have_are_refused(evaluation, models, method):
    folder, _ = evaluation
    rows = read_rows(folder / FRAMES_FILE, FRAME_SCORES)
    for row in rows:
        row["psnr"] += 0.5 * (row["method"] == method)
    write_table(rows, FRAME_SCORES, folder / FRAMES_FILE)
    with pytest.raises(FaceanimError, match=f"inconsistent scores: .* of {method} for frame 1"):
        check_predictions(folder, predict(models, folder))


def test_frames_without_a_score_are_refused(evaluation, models):
    folder, _ = evaluation
    with safe_open(folder / CHECK_FILE, framework="numpy") as file:
        metadata = file.metadata()
    arrays = {**load_file(folder / CHECK_FILE), "frames": np.array([7, 8, 9])}
    save_file(arrays, folder / CHECK_FILE, metadata=metadata)
    with pytest.raises(FaceanimError, match="has no PSNR of super_resolved for frame 7"):
        check_predictions(folder, predict(models, folder))


def test_clips_are_the_means_of_their_frames(evaluation):
    folder, psnr = evaluation
    rows = read_rows(folder / SCORES_FILE, SCORES_SCHEMA)
    rows[0]["psnr"] += 0.01
    write_table(rows, SCORES_SCHEMA, folder / SCORES_FILE)
    with pytest.raises(FaceanimError, match="psnr of prediction for ada--one--0000000 is not the mean"):
        check_tables(folder, version(folder, psnr))


def test_a_version_scored_before_there_were_regions_passes(evaluation, models):
    folder, psnr = evaluation
    for name in (FRAMES_FILE, SCORES_FILE):
        table = pq.read_table(folder / name)
        pq.write_table(table.drop_columns(list(REGION_METRICS)), folder / name)
    check_predictions(folder, predict(models, folder))
    check_tables(folder, version(folder, psnr))


def test_tags_agree_with_the_scores(evaluation):
    folder, psnr = evaluation
    with pytest.raises(FaceanimError, match="the registered PSNR is not"):
        check_tables(folder, version(folder, psnr + 1))
    registered = version(folder, psnr)
    (folder / PROTOCOL_FILE).write_text(json.dumps({"version": 9}))
    with pytest.raises(FaceanimError, match="not those of the test set"):
        check_tables(folder, registered)


def test_psnr_may_differ_by_the_rounding_to_levels_only():
    assert psnr_agrees(20.0, 20.09)
    assert not psnr_agrees(20.0, 20.2)
    # Rounding is most of the error of nearly perfect frames.
    assert psnr_agrees(60.0, 57.0)
    assert not psnr_agrees(45.0, 46.0)
    assert not psnr_agrees(30.0, float("nan"))


def test_a_damaged_file_is_reported_in_one_line(tmp_path):
    (tmp_path / "check.safetensors").write_bytes(b"no tensors")
    with pytest.raises(FaceanimError, match=r"cannot read check\.safetensors"):
        read_tensors(tmp_path / "check.safetensors")
