"""Evaluation folder in the layout of `faceanim.evaluation.protocol`, with invented scores and real videos."""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from skimage.data import astronaut

from faceanim.evaluation import protocol
from faceanim.evaluation.comparison_video import write_comparison_video
from faceanim.evaluation.metric_pitfalls import compute_variants, write_variants
from faceanim.evaluation.protocol import (
    FRAME_SCORES,
    METRIC_NAMES,
    PAIRS,
    REGION_METRICS,
    SCORES,
    TEST_SET,
    MethodName,
    Task,
)
from faceanim.evaluation.statistics import summarize_scores, write_summaries_csv
from faceanim.tables import Row, write_json, write_table
from faceanim.viz import GRID_COLUMNS, draw_error, write_image_grid

CLIPS = {"ada": ("ada--one", "ada--two"), "bea": ("bea--one",), "cyd": ("cyd--one", "cyd--two")}
FRAMES = 12
MADE = {
    Task.RECONSTRUCTION: (
        tuple(MethodName),
        ("psnr", "ssim", "l1", *REGION_METRICS, "akd", "csim", "flicker"),
    ),
    Task.REENACTMENT: (
        (MethodName.PREDICTION, MethodName.COPY_SOURCE, MethodName.LANDMARK_WARP),
        ("csim", "pose", "mouth"),
    ),
    Task.SUPER_RESOLUTION: ((MethodName.SUPER_RESOLVED, MethodName.BICUBIC), ("psnr", "ssim")),
}
"""Methods and metrics of each task; the first method represents it."""
TYPICAL = {
    "psnr": 22,
    "ssim": 0.7,
    "l1": 0.045,
    "akd": 3,
    "csim": 0.8,
    "flicker": -0.002,
    "pose": 6,
    "mouth": 0.05,
    **dict.fromkeys(REGION_METRICS, 19),
}


def write_evaluation(folder: Path, tasks: Sequence[Task] = tuple(Task)) -> Path:
    """Write an evaluation of five clips of three people; one clip shows no face."""
    rows = frame_rows(tasks)
    write_table(rows, FRAME_SCORES, folder / protocol.FRAMES_FILE)
    scores = clip_rows(rows)
    write_table(scores, SCORES, folder / protocol.SCORES_FILE)
    write_summaries_csv(summarize_scores(scores), folder / protocol.FIGURES_FILE)
    test_set = [
        {"crop_id": clip, "person_id": person, "frames": FRAMES, "sha256": "0" * 64}
        for person, clip in people_clips()
    ]
    write_table(test_set, TEST_SET, folder / protocol.CLIPS_FILE)
    pair = {"pair_id": "ada--one", "source_crop_id": "bea--one", "driving_crop_id": "ada--one"}
    write_table([pair], PAIRS, folder / protocol.PAIRS_FILE)
    write_json({"version": "1", "size": 64, "output_size": 128}, folder / protocol.PROTOCOL_FILE)
    left_out = {"lpips": "AlexNet's weights are not there"}
    write_json(
        {"networks": {"identity": "ab" * 32}, "left_out": left_out}, folder / protocol.MEASURED_WITH_FILE
    )
    write_videos(folder / protocol.VIDEOS_FOLDER, scores, tasks)
    row = [face(0), face(4), *(blurred(face(4)) for _ in GRID_COLUMNS[2:])]
    write_image_grid([row, row], folder / protocol.PICTURES_FILE)
    driving = torch.from_numpy(np.stack([face(n) for n in range(3)])).permute(0, 3, 1, 2).float() / 255
    write_variants(
        "ada--one", compute_variants((driving * 0.9).contiguous(), driving), folder / protocol.PITFALLS_FILE
    )
    return folder


def people_clips() -> list[tuple[str, str]]:
    return [(person, clip) for person, clips in CLIPS.items() for clip in clips]


def frame_rows(tasks: Sequence[Task], gain: float = 0.0) -> list[Row]:
    """Generate rows of FRAME_SCORES around typical values, with `gain` added to each PSNR."""
    rng = np.random.default_rng(0)
    rows = []
    for task in tasks:
        methods, metrics = MADE[task]
        for method in methods:
            for person, clip in people_clips():
                level = rng.normal(1, 0.1)
                for frame in range(1, 1 + FRAMES):
                    values = {name: TYPICAL[name] * level * rng.normal(1, 0.05) for name in metrics}
                    values["psnr"] = values["psnr"] + gain if "psnr" in values else None
                    if method in (MethodName.SUPER_RESOLVED, MethodName.BICUBIC):
                        values |= dict.fromkeys(REGION_METRICS)
                    if clip == "cyd--two":
                        values["csim"] = None
                    names = {"task": task, "method": method, "item_id": clip, "person_id": person}
                    rows.append(dict.fromkeys(METRIC_NAMES) | values | names | {"frame": frame})
    return rows


def clip_rows(frames: Sequence[Row]) -> list[Row]:
    """Average rows of FRAME_SCORES to rows of SCORES."""
    clips: dict[tuple, list[Row]] = {}
    for row in frames:
        key = tuple(row[name] for name in ("task", "method", "item_id", "person_id"))
        clips.setdefault(key, []).append(row)
    return [
        dict(zip(("task", "method", "item_id", "person_id"), key, strict=True))
        | {"frames": len(rows)}
        | {
            name: float(np.mean(known))
            if (known := [row[name] for row in rows if row[name] is not None])
            else None
            for name in METRIC_NAMES
        }
        for key, rows in clips.items()
    ]


def write_videos(folder: Path, scores: Sequence[Row], tasks: Sequence[Task]) -> None:
    index = []
    for task in tasks:
        metric = "csim" if task == Task.REENACTMENT else "psnr"
        main = MADE[task][0][0] if task != Task.SUPER_RESOLUTION else MethodName.SUPER_RESOLVED
        own = [
            row for row in scores if (row["task"], row["method"]) == (task, main) and row[metric] is not None
        ]
        ordered = sorted(own, key=lambda row: -row[metric])
        for rank, row in (("best", ordered[0]), ("median", ordered[len(own) // 2]), ("worst", ordered[-1])):
            file = f"{task}_{rank}.webm"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(video(rank))
            entry = {"task": task, "rank": rank, "item_id": row["item_id"], "metric": metric}
            index.append(entry | {"value": row[metric], "file": file})
    write_json(index, folder / "index.json")


@cache
def video(rank: str) -> bytes:
    """Encode a comparison video; cached, and the same for every task, because encoding is slow."""
    titles = ("source", "driving", "prediction", "super-resolved", "error")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "video.webm"
        write_comparison_video(path, titles, video_rows(len(rank)), Fraction(25), 96)
        return path.read_bytes()


def video_rows(start: int):
    for number in range(start, start + FRAMES):
        driving = face(number)
        made = blurred(driving)
        yield face(0), driving, made, made, draw_error(made, driving)


def face(shift: int) -> np.ndarray:
    cut = np.ascontiguousarray(astronaut()[20:212, 130 + 2 * shift : 322 + 2 * shift])
    return cv2.resize(cut, (64, 64), interpolation=cv2.INTER_AREA)


def blurred(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, None, 1.5)


def write_curve(path: Path) -> Path:
    """Write a training history with a switch of the optimizer's phase."""
    lines = ["step,pixel,lr,phase"]
    lines += [f"{step},{2 / step},{0.001},{'adam' if step < 200 else 'sgd'}" for step in range(20, 420, 20)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path
