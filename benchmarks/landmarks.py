"""The landmarks stage, from crop files to Parquet, against its detectors alone."""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dlib
import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

from benchmarks.common import (
    add_clips_option,
    create_parser,
    measure_rates,
    pin_to_one_core,
    print_summary,
    shared_path,
)
from benchmarks.real_crops import PARAMS, ignore_progress, list_clips, make_crops, map_inline
from faceanim.config import LandmarksConfig
from faceanim.faces.landmark_detectors import find_dlib_weights
from faceanim.faces.landmark_stage import detect_landmarks
from faceanim.media.mjpeg import read_mjpeg, stream_mjpeg
from faceanim.models.pretrained import WEIGHTS_VARIABLE
from faceanim.schemas import CROPS
from faceanim.tables import Row, read_rows

CLIPS = ("liveportrait_s18", "nvidia_eyecontact", "pexels_8048492")
"""Clips given to MediaPipe by default; it is ten times slower than dlib, which processes all clips."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__, runs=3)
    add_clips_option(parser, None)
    args = parser.parse_args(arguments)
    pin_to_one_core()
    model = shared_path("models", "face_landmarker.task")
    os.environ[WEIGHTS_VARIABLE] = str(model.parent)
    print("Landmarks of 256x256 crops of real clips, on one core; loading the detectors is not measured.")
    print("  faceanim:   the landmarks stage, from crop files to Parquet tables")
    print(f"  dlib:       dlib {dlib.__version__}, shape_predictor alone; gray frames in memory, boxes known")
    print(f"  mediapipe:  mediapipe {mediapipe.__version__}, FaceLandmarker.detect alone; frames in memory")
    with tempfile.TemporaryDirectory() as name:
        all_crops, few_crops = Path(name, "every"), Path(name, "few")
        make_crops(args.clips or list_clips(), all_crops)
        make_crops(args.clips or CLIPS, few_crops)
        dlib_variants = {
            "faceanim, dlib": lambda: run_stage("dlib", all_crops),
            "dlib": prepare_dlib(read_accepted(all_crops)),
        }
        options = vision.FaceLandmarkerOptions(base_options=BaseOptions(model_asset_path=str(model)))
        with vision.FaceLandmarker.create_from_options(options) as landmarker:
            mediapipe_variants = {
                "faceanim, mediapipe": lambda: run_stage("mediapipe", few_crops),
                "mediapipe": prepare_mediapipe(read_accepted(few_crops), landmarker),
            }
            rates = measure_rates(dlib_variants, "frames", args.runs)
            rates |= measure_rates(mediapipe_variants, "frames", args.runs)
    print_summary(
        {
            "dlib_vs_bare": rates["faceanim, dlib"] / rates["dlib"],
            "mediapipe_vs_bare": rates["faceanim, mediapipe"] / rates["mediapipe"],
        }
    )


def read_accepted(folder: Path) -> list[Row]:
    """Read the rows of the accepted crops."""
    return [row for row in read_rows(folder / "crops.parquet", CROPS) if row["status"] == "ok"]


def run_stage(detector: Any, folder: Path) -> int:
    """Run the stage from scratch; return the number of frames."""
    out = folder / "landmarks"
    shutil.rmtree(out, ignore_errors=True)
    inputs = (folder / "crops.parquet", folder / "crops", out)
    config = LandmarksConfig(detector=detector)
    counts = detect_landmarks(config, PARAMS.run, *inputs, map_inline, ignore_progress)
    assert counts["detected_rate"] > 0.99, counts
    return int(counts["frames"])


def prepare_dlib(rows: list[Row]) -> Callable[[], int]:
    """Load all frames; return a run of dlib's predictor in the boxes given by the table of crops."""
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


def prepare_mediapipe(rows: list[Row], landmarker: vision.FaceLandmarker) -> Callable[[], int]:
    """Load all frames; return a run of MediaPipe's landmarker in the whole crops."""
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
