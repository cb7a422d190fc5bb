"""The landmarks stage, from crop files to Parquet, against calling its detectors alone."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlib
import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

from benchmarks.common import finish, pin, rates, shared
from benchmarks.real_crops import PARAMS, ignore, inline, make_crops
from faceanim.config import LandmarksConfig
from faceanim.faces.landmark_detectors import find_dlib_weights
from faceanim.faces.landmark_stage import detect_landmarks
from faceanim.media.mjpeg import read_mjpeg, stream_mjpeg
from faceanim.models.pretrained import WEIGHTS_VARIABLE
from faceanim.schemas import CROPS
from faceanim.tables import Row, read_rows

CLIPS = ("liveportrait_s18", "nvidia_eyecontact", "pexels_8048492")
"""For MediaPipe, which is ten times slower; dlib is given all there are."""
RUNS = 3


def main() -> None:
    """Measure and print."""
    pin()
    model = shared("models", "face_landmarker.task")
    os.environ[WEIGHTS_VARIABLE] = str(model.parent)
    print(
        "Landmarks of 256x256 crops of real clips, on one core; detectors are loaded before the clock starts."
    )
    print("  ours:       faceanim's landmarks stage, from crop files to Parquet tables")
    print(f"  dlib:       dlib {dlib.__version__}, shape_predictor alone; grey frames in memory, boxes known")
    print(f"  mediapipe:  mediapipe {mediapipe.__version__}, FaceLandmarker.detect alone; frames in memory")
    with tempfile.TemporaryDirectory() as name:
        every, few = Path(name, "every"), Path(name, "few")
        make_crops(sorted(path.name for path in shared("faces", "clips").iterdir()), every)
        make_crops(CLIPS, few)
        of_dlib = {"ours, dlib": lambda: ours("dlib", every), "dlib": bare_dlib(accepted(every))}
        options = vision.FaceLandmarkerOptions(base_options=BaseOptions(model_asset_path=str(model)))
        with vision.FaceLandmarker.create_from_options(options) as landmarker:
            of_mediapipe = {
                "ours, mediapipe": lambda: ours("mediapipe", few),
                "mediapipe": bare_mediapipe(accepted(few), landmarker),
            }
            rate = rates(of_dlib, "frames", RUNS) | rates(of_mediapipe, "frames", RUNS)
    finish(
        {
            "dlib_vs_bare": rate["ours, dlib"] / rate["dlib"],
            "mediapipe_vs_bare": rate["ours, mediapipe"] / rate["mediapipe"],
        }
    )


def accepted(folder: Path) -> list[Row]:
    """The rows of the crops."""
    return [row for row in read_rows(folder / "crops.parquet", CROPS) if row["status"] == "ok"]


def ours(detector: Any, folder: Path) -> int:
    """Run the stage from nothing."""
    out = folder / "landmarks"
    shutil.rmtree(out, ignore_errors=True)
    inputs = (folder / "crops.parquet", folder / "crops", out)
    counts = detect_landmarks(LandmarksConfig(detector=detector), PARAMS.run, *inputs, inline, ignore)
    assert counts["detected_rate"] > 0.99, counts
    return int(counts["frames"])


def bare_dlib(rows: list[Row]) -> Callable[[], int]:
    """Predict in the boxes that the crops' table gives."""
    predictor = dlib.shape_predictor(str(find_dlib_weights()))
    frames = [
        frame
        for row in rows
        for frame in stream_mjpeg(Path(row["path"]), row["frame_offsets"], row["frame_lengths"], luma=True)
    ]
    edges = np.concatenate([np.reshape(row["faces"], (-1, 4)) for row in rows]).round().astype(int).tolist()
    boxes = [dlib.rectangle(*box) for box in edges]

    def run() -> int:
        for frame, box in zip(frames, boxes, strict=True):
            predictor(frame, box)
        return len(frames)

    return run


def bare_mediapipe(rows: list[Row], landmarker: vision.FaceLandmarker) -> Callable[[], int]:
    """Detect in each whole crop."""
    frames = [
        frame
        for row in rows
        for frame in read_mjpeg(Path(row["path"]), row["frame_offsets"], row["frame_lengths"])
    ]

    def run() -> int:
        for frame in frames:
            landmarker.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=frame))
        return len(frames)

    return run


if __name__ == "__main__":
    main()
