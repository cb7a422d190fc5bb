"""Validation of registered versions: a version must load in a clean process, reproduce the predictions that
were scored, and have scores that match these predictions."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file
from torch import Tensor

from faceanim.errors import FaceanimError
from faceanim.evaluation.image_metrics import psnr
from faceanim.evaluation.protocol import (
    CHECK_FILE,
    CLIPS_FILE,
    FRAME_SCORES,
    FRAMES_FILE,
    METRIC_NAMES,
    PAIRS_FILE,
    PROTOCOL_FILE,
    REGION_METRICS,
    SCORES_FILE,
    MethodName,
    Task,
    test_set_id,
)
from faceanim.evaluation.protocol import SCORES as SCORES_SCHEMA
from faceanim.evaluation.protocol import TEST_SET as TEST_SET_SCHEMA
from faceanim.evaluation.statistics import select_scores
from faceanim.media.tensors import resize_frames, to_float
from faceanim.registry.store import EVALUATION_FOLDER, PSNR_TAG, TEST_SET_TAG, ModelRegistry, Version
from faceanim.tables import read_rows, read_table

TIME_LIMIT_S = 900
MAX_LEVELS_OFF = 2
"""Tolerance for values in [0, 255]. On one machine a model gives identical bytes; between processors, and
between GPU and CPU, floats differ by about 1e-3, which moves keypoints by less than a tenth of a pixel."""
MAX_MEAN_LEVELS_OFF = 0.25
MAX_FRACTION_OFF = 1e-3
"""Fraction of values that may exceed `MAX_LEVELS_OFF`: those at the sharpest edges."""
TOLERANCE_DB = 0.1
ROUNDING = 1 / 12 / 255**2
"""Mean squared error, for values in [0, 1], that rounding to 256 levels adds."""


@dataclass(frozen=True)
class ValidationResult:
    """Outcome of validating a version.

    Attributes:
        problem: reason why the version cannot become champion; None if it can.
    """

    problem: str | None = None

    @property
    def is_valid(self) -> bool:
        """True if the version is the model that was scored."""
        return self.problem is None


def validate_version(store: ModelRegistry, version: Version) -> ValidationResult:
    """Check that a version loads, reproduces the scored predictions, and has the scores that it claims."""
    try:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            names = (CHECK_FILE, FRAMES_FILE, SCORES_FILE, CLIPS_FILE, PAIRS_FILE, PROTOCOL_FILE)
            files = [store.download(version, f"{EVALUATION_FOLDER}/{name}", folder) for name in names]
            evaluation = files[0].parent
            predictions = predict_in_clean_process(store, version, evaluation / CHECK_FILE, folder)
            check_predictions(evaluation, predictions)
            check_tables(evaluation, version)
    except FaceanimError as error:
        return ValidationResult(str(error))
    return ValidationResult()


def predict_in_clean_process(
    store: ModelRegistry, version: Version, check: Path, folder: Path
) -> dict[str, NDArray[Any]]:
    """Run `predict` with a version in a new process with pickle disabled; returns the arrays that it writes.

    Raises:
        FaceanimError: the version does not load, does not predict, or exceeds the time limit.
    """
    out = folder / "predicted.safetensors"
    command = [sys.executable, "-m", "faceanim.registry.validation", store.model_uri(version.number)]
    try:
        completed = subprocess.run(
            [*command, str(check), str(out)],
            env={
                **os.environ,
                "MLFLOW_TRACKING_URI": store.uri,
                "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=TIME_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        raise FaceanimError(f"cannot predict in a clean process within {TIME_LIMIT_S} seconds") from None
    if completed.returncode:
        last_line = (completed.stderr.strip().splitlines() or [f"exit code {completed.returncode}"])[-1]
        raise FaceanimError(f"cannot load and predict in a clean process: {last_line[:300]}")
    return read_tensors(out)


def check_predictions(evaluation: Path, predictions: dict[str, NDArray[Any]]) -> None:
    """Check that predictions match those of the evaluation and have the PSNR that it reports.

    Raises:
        FaceanimError: the predictions or their PSNR differ.
    """
    frames = read_tensors(evaluation / CHECK_FILE)
    expected, predicted = frames["predicted"], predictions["predicted"]
    if predicted.shape != expected.shape or predicted.dtype != expected.dtype:
        raise FaceanimError(
            f"predicted frames have shape {predicted.shape}, the scored ones {expected.shape}"
        )
    off = np.abs(predicted.astype(np.int16) - expected)
    if off.mean() > MAX_MEAN_LEVELS_OFF or (off > MAX_LEVELS_OFF).mean() > MAX_FRACTION_OFF:
        raise FaceanimError(
            f"predictions differ from those that were scored: values in [0, 255] are off by {off.mean():.2f} "
            f"on average and by up to {off.max()}"
        )
    driving, animated = to_float(frames["driving"]), torch.from_numpy(predictions["animated"])
    check_psnr(evaluation, MethodName.SUPER_RESOLVED, to_float(predicted), driving)
    check_psnr(evaluation, MethodName.PREDICTION, animated, resize_frames(driving, animated.shape[-1]))


def check_psnr(evaluation: Path, method: MethodName, frames: Tensor, driving: Tensor) -> None:
    """Check that frames (N, 3, H, W) have the PSNR that the evaluation reports for them.

    Raises:
        FaceanimError: the PSNR differs, or the evaluation does not report it.
    """
    if frames.shape != driving.shape:
        raise FaceanimError(
            f"predicted frames have shape {tuple(frames.shape)}, the driving frames {tuple(driving.shape)}"
        )
    with safe_open(evaluation / CHECK_FILE, framework="numpy") as file:
        item, numbers = file.metadata()["item_id"], file.get_tensor("frames").tolist()
    reported = {
        row["frame"]: row["psnr"]
        for row in read_table(evaluation / FRAMES_FILE, FRAME_SCORES, REGION_METRICS)
        .filter((pc.field("item_id") == item) & pc.field("frame").isin(numbers))
        .to_pylist()
        if (row["task"], row["method"]) == (Task.RECONSTRUCTION.value, method.value)
    }
    for number, measured in zip(numbers, psnr(frames, driving).tolist(), strict=True):
        if reported.get(number) is None:
            raise FaceanimError(f"the evaluation has no PSNR of {method} for frame {number} of {item}")
        if not psnr_agrees(reported[number], measured):
            raise FaceanimError(
                f"inconsistent scores: the evaluation reports {reported[number]:.2f} dB of {method} for "
                f"frame {number} of {item}, the predictions have {measured:.2f} dB"
            )


def psnr_agrees(a: float, b: float) -> bool:
    """Check whether two PSNRs (dB) can be of the same frames, allowing for rounding to 256 levels in one."""
    errors = 10 ** (-a / 10), 10 ** (-b / 10)
    return abs(errors[0] - errors[1]) <= min(errors) * (10 ** (TOLERANCE_DB / 10) - 1) + ROUNDING


def check_tables(evaluation: Path, version: Version) -> None:
    """Check that scores of clips are means over their frames, and that the version's tags match these clips.

    Raises:
        FaceanimError: the scores or the tags are inconsistent.
    """
    scores = read_rows(evaluation / SCORES_FILE, SCORES_SCHEMA, REGION_METRICS)
    key = ["task", "method", "item_id"]
    frames = read_table(evaluation / FRAMES_FILE, FRAME_SCORES, REGION_METRICS)
    means = frames.group_by(key).aggregate([(name, "mean") for name in METRIC_NAMES])
    by_clip = {tuple(row[name] for name in key): row for row in means.to_pylist()}
    for row in scores:
        mean = by_clip.get(tuple(row[name] for name in key), {})
        for name in METRIC_NAMES:
            if not nearly_equal(row[name], mean.get(f"{name}_mean")):
                raise FaceanimError(
                    f"inconsistent scores: {name} of {row['method']} for {row['item_id']} is not the mean "
                    "over its frames"
                )
    test_set = {row["crop_id"] for row in read_rows(evaluation / CLIPS_FILE, TEST_SET_SCHEMA)}
    clips = select_scores(scores, Task.RECONSTRUCTION, MethodName.PREDICTION)
    if {row["item_id"] for row in clips} != test_set or test_set_id(evaluation) != version.tags.get(
        TEST_SET_TAG
    ):
        raise FaceanimError("inconsistent scores: the scored clips are not those of the test set")
    mean_of_clips = float(np.mean([row["psnr"] for row in clips]))
    if not nearly_equal(mean_of_clips, float(version.tags.get(PSNR_TAG, "nan"))):
        raise FaceanimError(
            f"inconsistent scores: the registered PSNR is not {mean_of_clips:.3f} dB, the mean over the clips"
        )


def nearly_equal(a: float | None, b: float | None) -> bool:
    """Check whether two scores agree up to their last digits, or are both missing."""
    if a is None or b is None:
        return a is b
    return bool(np.isclose(a, b, rtol=1e-4, atol=1e-5))


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a safetensors file.

    Raises:
        FaceanimError: the file is damaged.
    """
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise FaceanimError(f"cannot read {path.name}: the file is damaged ({error})") from None


def predict(model_uri: str, check: Path, out: Path) -> None:
    """Load a registered version as a user would, and predict the frames of the check file.

    Runs in the clean process, with the MLflow tracking URI in the environment:
    `python -m faceanim.registry.validation models:/faceanim/3 check.safetensors out.safetensors`.

    Args:
        model_uri: MLflow's URI of the version.
        check: file with `source`, `driving` and, if the model uses landmarks, those of both; see
            `CHECK_FILE`.
        out: file to write: `predicted`, uint8 (N, O, O, 3), and `animated`, float32 (N, 3, S, S) in [0, 1],
            the frames before super-resolution.
    """
    # Without the warnings, MLflow need not search all installed packages, which takes a second.
    model = mlflow.pyfunc.load_model(model_uri, suppress_warnings=True)
    arrays = load_file(check)
    frames = {name: arrays[name] for name in ("source", "driving")}
    landmarks = {name: array for name, array in arrays.items() if name.endswith("_landmarks")}
    predicted = np.asarray(model.predict(frames))
    wrapped = model.unwrap_python_model()
    if landmarks:
        # MLflow passes on what the signature names, which is the frames: users need not bring landmarks.
        predicted = np.asarray(wrapped.predict(None, frames | landmarks))
    animated = animate_frames(wrapped.animator, frames, landmarks)
    save_file({"predicted": predicted, "animated": animated}, out)


def animate_frames(
    animator: Any, frames: dict[str, NDArray[Any]], landmarks: dict[str, NDArray[Any]]
) -> NDArray[Any]:
    """Predict the frames before super-resolution, by an `Animator` of this release or of an earlier one."""
    if not landmarks:
        source = animator.prepare(to_float(frames["source"]))
        return np.asarray(animator.frames(source, to_float(frames["driving"])).cpu())
    source_landmarks, driving_landmarks = (
        torch.from_numpy(landmarks[f"{role}_landmarks"]) for role in ("source", "driving")
    )
    source = animator.prepare(to_float(frames["source"]), landmarks=source_landmarks)
    return np.asarray(animator.frames(source, to_float(frames["driving"]), driving_landmarks).cpu())


if __name__ == "__main__":
    predict(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
