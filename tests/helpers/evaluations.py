"""Evaluations of tiny models in the layout of the pipeline's.

One clip, `CHECKED`, is really scored, and its frames are in check.safetensors. The scores of the others are
invented, so that a test decides which model is better.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from skimage.data import astronaut

from faceanim.evaluation.image_metrics import compute_frame_metrics
from faceanim.evaluation.protocol import (
    CHECK_FILE,
    CLIPS_FILE,
    FIGURES_FILE,
    FRAME_SCORES,
    FRAMES_FILE,
    MEASURED_WITH_FILE,
    METRIC_NAMES,
    PAIRS_FILE,
    PROTOCOL_FILE,
    SCORES_FILE,
    TEST_SET,
    MethodName,
    Task,
)
from faceanim.evaluation.protocol import PAIRS as PAIRS_SCHEMA
from faceanim.evaluation.protocol import SCORES as SCORES_SCHEMA
from faceanim.evaluation.statistics import summarize_scores, write_summaries_csv
from faceanim.inference.animator import Animator
from faceanim.media.frames import Frames
from faceanim.media.tensors import resize_frames, to_float, to_uint8
from faceanim.tables import Row, write_table

SIDE = 128
STEP = 3
DRIVING = 3
CHECKED = "ada--one--0000000"
PEOPLE = ("ada", "bea", "cyd", "dan")
METHODS = {MethodName.PREDICTION: 24.0, MethodName.COPY_SOURCE: 20.0, MethodName.SUPER_RESOLVED: 23.0}
"""Methods, with their PSNR on a clip with invented scores, in dB."""


def faces(top: int = 40) -> Frames:
    """Return frames of a face that moves to the left, (1 + DRIVING, SIDE, SIDE, 3)."""
    return np.stack([astronaut()[top : top + SIDE, 150 + STEP * n :][:, :SIDE] for n in range(1 + DRIVING)])


def row(method: MethodName, item: str, frame: int, psnr: float, ssim: float | None) -> Row:
    values = dict.fromkeys(METRIC_NAMES) | {"frame": frame, "psnr": psnr, "ssim": ssim}
    return {"task": Task.RECONSTRUCTION, "method": method, "item_id": item, "person_id": item[:3], **values}


def checked_rows(animator: Animator, frames: Frames, out: Path) -> list[Row]:
    """Score one clip and write its predictions."""
    source, driving = frames[:1], frames[1:]
    crops, prepared = to_float(driving), animator.prepare(to_float(source))
    small = resize_frames(crops, animator.size)
    prediction = animator.frames(prepared, crops)
    enlarged = animator.enlarge(prediction)
    answers = {
        MethodName.PREDICTION: (prediction, small),
        MethodName.COPY_SOURCE: (prepared.image.expand(len(small), -1, -1, -1), small),
        MethodName.SUPER_RESOLVED: (enlarged, crops),
    }
    numbers = range(1, len(frames))
    arrays = {"source": source, "driving": driving, "predicted": to_uint8(enlarged)}
    save_file({**arrays, "frames": np.array(numbers)}, out / CHECK_FILE, metadata={"item_id": CHECKED})
    return [
        row(method, CHECKED, number, float(scores["psnr"][number - 1]), float(scores["ssim"][number - 1]))
        for method, answer in answers.items()
        for scores in [compute_frame_metrics(*answer)]
        for number in numbers
    ]


def of_clips(frames: list[Row]) -> list[Row]:
    """Average the rows of each clip's frames to rows of SCORES."""
    found: dict[tuple[str, str], list[Row]] = {}
    for each in frames:
        found.setdefault((each["method"], each["item_id"]), []).append(each)
    return [
        {**rows[0], "frames": len(rows)}
        | {name: mean([each[name] for each in rows]) for name in ("psnr", "ssim")}
        for rows in found.values()
    ]


def mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def write_evaluation(models: Path, out: Path, gain: float = 0.0, protocol: int = 1, lie: float = 0.0) -> dict:
    """Write an evaluation of a model and return its metrics.

    Args:
        models: folder of the models.
        out: folder of the evaluation.
        gain: added to the invented PSNR, in dB.
        protocol: version of the protocol.
        lie: added to the PSNR of the clip that is really scored, in dB, so that it does not match its frames.
    """
    out.mkdir(parents=True)
    animator = Animator.load(models, "cpu")
    frames = [
        {**each, "psnr": each["psnr"] + lie * (each["method"] != MethodName.COPY_SOURCE)}
        for each in checked_rows(animator, faces(), out)
    ]
    made_up = [f"{person}--two--0000000" for person in PEOPLE]
    for number, item in enumerate(made_up):
        for method, psnr in METHODS.items():
            better = 0.0 if method == MethodName.COPY_SOURCE else gain + 0.01 * number
            frames += [row(method, item, n, psnr + better + 0.1 * n, None) for n in (1, 2, 3)]
    write_table(frames, FRAME_SCORES, out / FRAMES_FILE)
    scores = of_clips(frames)
    write_table(scores, SCORES_SCHEMA, out / SCORES_FILE)
    clips = [
        {"crop_id": item, "person_id": item[:3], "frames": 3, "sha256": "0" * 64}
        for item in [CHECKED, *made_up]
    ]
    write_table(clips, TEST_SET, out / CLIPS_FILE)
    write_table([], PAIRS_SCHEMA, out / PAIRS_FILE)
    (out / PROTOCOL_FILE).write_text(json.dumps({"version": protocol}))
    (out / MEASURED_WITH_FILE).write_text(json.dumps({"networks": {}, "left_out": {}}))
    write_summaries_csv(summarize_scores(scores), out / FIGURES_FILE)
    return nested(scores)


def nested(scores: list[Row]) -> dict:
    """Nest the metrics as in reports/metrics.json."""
    found = {(figure.method, figure.metric): figure.interval.mean for figure in summarize_scores(scores)}
    metrics = {method: {name: found[method, name] for name in ("psnr", "ssim")} for method in METHODS}
    return {
        "reconstruction": metrics[MethodName.PREDICTION] | {"copy_source": metrics[MethodName.COPY_SOURCE]}
    }
