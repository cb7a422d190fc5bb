"""What is measured: the tasks, the methods and the metrics, by the names that tables and reports use."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pyarrow as pa

PROTOCOL_FILE = "protocol.json"
"""What decides the figures besides clips and pairs: the protocol's version and the frames' sizes."""
MEASURED_WITH_FILE = "measured_with.json"
"""`networks`: the networks that measured, by name, with their weights' SHA-256; `left_out`: the metrics that
could not be told, by name, with the reason."""
CLIPS_FILE = "clips.parquet"
"""The test set (TEST_SET)."""
PAIRS_FILE = "pairs.parquet"
"""Who drives whom in the re-enactment (PAIRS)."""
FRAMES_FILE = "frames.parquet"
"""The metrics of every frame (FRAME_SCORES)."""
SCORES_FILE = "scores.parquet"
"""The metrics of every clip (SCORES)."""
FIGURES_FILE = "figures.csv"
"""The metrics of all clips, with their intervals: task, method, metric, mean, low, high, people, clips."""
CLIP_FIGURES_FILE = "clips.csv"
"""SCORES again, a line for each value: task, method, metric, item_id, person_id, value; for DVC's plots."""
CHECK_FILE = "check.safetensors"
"""A few frames to see by whether a copy of the model does what was scored: uint8 `source` (1, S, S, 3),
`driving` (N, S, S, 3), the super-resolved `predicted` (N, O, O, 3), and the numbers of the `frames`; its
metadata names the `item_id`. Their rows in FRAMES are those of the reconstruction, method super_resolved."""
VIDEOS_FOLDER = "videos"
"""Folder of the best, median and worst clips of each task, side by side, with `index.json`."""
PICTURES_FILE = "pictures.png"
"""The picture grid."""
PITFALLS_FILE = "traps.json"
"""One clip's PSNR and SSIM computed right and with the mistakes that published figures hide."""


def test_set_id(folder: Path) -> str:
    """Identifies what the figures of an evaluation are of: those with the same can be compared."""
    parts = (
        hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in (PROTOCOL_FILE, CLIPS_FILE, PAIRS_FILE)
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class Task(StrEnum):
    """What a method is asked to do."""

    RECONSTRUCTION = "reconstruction"  # a clip's first frame takes on the motion of its other frames
    REENACTMENT = "reenactment"  # it takes on another person's
    SUPER_RESOLUTION = "super_resolution"  # crops shrunk and enlarged again: the second network alone


class MethodName(StrEnum):
    """Who is asked."""

    PREDICTION = "prediction"  # the method that is evaluated
    WARPED = "warped"  # its warped source, before the generator (eq. 1)
    COPY_SOURCE = "copy_source"
    LANDMARK_WARP = "landmark_warp"
    SUPER_RESOLVED = "super_resolved"
    BICUBIC = "bicubic"


@dataclass(frozen=True)
class Metric:
    """A figure of a frame.

    Attributes:
        name: its column, and its key in reports/metrics.json.
        label: its name for readers.
        unit: of the figure; empty for a ratio or an index.
        better: which way is better; `zero`: the nearer to nought.
        digits: to show after the point.
        meaning: one sentence for readers.
    """

    name: str
    label: str
    unit: str
    better: Literal["higher", "lower", "zero"]
    digits: int
    meaning: str


METRICS = (
    Metric("psnr", "PSNR", "dB", "higher", 2, "Peak signal-to-noise ratio, RGB in [0, 1], data_range 1."),
    Metric("ssim", "SSIM", "", "higher", 3, "Structural similarity, 11-tap Gaussian window, sigma 1.5."),
    Metric("ms_ssim", "MS-SSIM", "", "higher", 3, "SSIM over as many of its five scales as the frame has."),
    Metric("l1", "L1", "", "lower", 4, "Mean absolute difference of RGB in [0, 1]."),
    Metric("lpips", "LPIPS", "", "lower", 3, "Distance of AlexNet's features (Zhang et al., 2018)."),
    Metric("akd", "AKD", "px", "lower", 2, "Distance of dlib's 68 landmarks from the wanted ones, at 256."),
    Metric("missed", "missed faces", "", "lower", 3, "Share of frames whose face dlib no longer finds."),
    Metric("aed", "AED", "", "lower", 3, "Distance of dlib's face embeddings from the wanted identity's."),
    Metric("csim", "CSIM", "", "higher", 3, "Cosine of dlib's face embeddings with the wanted identity's."),
    Metric("pose", "pose error", "degrees", "lower", 2, "Angle between the head's pose and the driving one."),
    Metric(
        "eyes", "eye error", "", "lower", 3, "Difference of the eyes' height over width from the driving."
    ),
    Metric("mouth", "mouth error", "", "lower", 3, "Difference of the mouth's height over width, likewise."),
    Metric("gaze", "gaze error", "eye widths", "lower", 3, "Shift of the irises between the eyes' corners."),
    Metric(
        "flicker",
        "flicker",
        "",
        "zero",
        4,
        "Second difference of pixels in time beyond the driving video's own.",
    ),
)
"""The order is that of tables."""
METRIC_NAMES = tuple(metric.name for metric in METRICS)


TEST_SET = pa.schema(
    [
        pa.field("crop_id", pa.string(), nullable=False),
        pa.field("person_id", pa.string(), nullable=False),
        pa.field("frames", pa.int32(), nullable=False),  # driving frames: all but the first
        pa.field("sha256", pa.string(), nullable=False),  # of the crop's file
    ]
)

PAIRS = pa.schema(
    [
        pa.field("pair_id", pa.string(), nullable=False),
        pa.field("source_crop_id", pa.string(), nullable=False),
        pa.field("driving_crop_id", pa.string(), nullable=False),
    ]
)

_MEASURED = [pa.field(name, pa.float64()) for name in METRIC_NAMES]
"""Null: not to be told (no face, too few frames, a network that is not there)."""

FRAME_SCORES = pa.schema(
    [
        pa.field("task", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),  # a crop_id or a pair_id
        pa.field("person_id", pa.string(), nullable=False),  # the driving one
        pa.field("frame", pa.int32(), nullable=False),  # of the driving clip, from 1
        *_MEASURED,
    ]
)

SCORES = pa.schema(
    [
        pa.field("task", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("person_id", pa.string(), nullable=False),
        pa.field("frames", pa.int32(), nullable=False),
        *_MEASURED,  # the mean over the frames that have a value
    ]
)
