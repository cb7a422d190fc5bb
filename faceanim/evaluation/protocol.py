"""The evaluation protocol: files of an evaluation folder and their schemas, tasks, methods and metrics.

The names of tasks, methods and metrics are those that tables and reports use.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pyarrow as pa

PROTOCOL_FILE = "protocol.json"
"""Settings that affect the scores besides clips and pairs: protocol version, frame sizes, identity stride."""
MEASURED_WITH_FILE = "measured_with.json"
"""Networks used by metrics: `networks` holds the SHA-256 of their weights, by name, and `left_out` the reason
why a metric was skipped, by the metric's name. `without_landmarks` is the number of driving frames in which
the evaluated model had no landmarks to move the face by, so that keypoints did alone."""
CLIPS_FILE = "clips.parquet"
"""Clips of the test set (TEST_SET)."""
PAIRS_FILE = "pairs.parquet"
"""Pairs of source and driving clip in the re-enactment (PAIRS)."""
FRAMES_FILE = "frames.parquet"
"""Metrics of every frame (FRAME_SCORES)."""
SCORES_FILE = "scores.parquet"
"""Metrics of every clip (SCORES)."""
FIGURES_FILE = "figures.csv"
"""Means over all clips with their intervals: task, method, metric, mean, low, high, people, clips."""
CLIP_FIGURES_FILE = "clips.csv"
"""SCORES with one line per value, for DVC's plots: task, method, metric, item_id, person_id, value."""
CHECK_FILE = "check.safetensors"
"""A few frames to check that a copy of the model behaves as the scored one: uint8 `source` (1, S, S, 3),
`driving` (N, S, S, 3) and super-resolved `predicted` (N, O, O, 3), and the numbers of the `frames`. The
metadata holds the `item_id`. Their scores are in FRAMES_FILE: task reconstruction, method super_resolved.
If the model uses landmarks, also float32 `source_landmarks` (1, 68, 2), `driving_landmarks` (N, 68, 2)."""
VIDEOS_FOLDER = "videos"
"""Folder of comparison videos of each task's best, median and worst clip, with `index.json`."""
PICTURES_FILE = "pictures.png"
"""Grid of sample images."""
PITFALLS_FILE = "traps.json"
"""PSNR and SSIM of one clip, by the protocol and with the mistakes that published scores may hide."""
REPORTED_FILES = (
    r"(protocol|measured_with|traps|metrics)\.json|(clips|pairs|frames|scores)\.parquet"
    r"|(figures|clips)\.csv|check\.safetensors|pictures\.png|report\.html|videos/[^/]+\.(webm|json)"
)
"""Regular expression of all these files, and of the metrics and the report that `faceanim evaluate` adds."""


def test_set_id(folder: Path) -> str:
    """Compute the id of an evaluation's test set; scores are comparable only where it is the same."""
    parts = (
        hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in (PROTOCOL_FILE, CLIPS_FILE, PAIRS_FILE)
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class Task(StrEnum):
    """Task that a method performs."""

    RECONSTRUCTION = "reconstruction"  # animate a clip's first frame by its other frames
    REENACTMENT = "reenactment"  # animate a clip's first frame by another person's clip
    SUPER_RESOLUTION = "super_resolution"  # enlarge shrunk crops, with the super-resolution network alone


class MethodName(StrEnum):
    """Name of a method that is scored: an output of the evaluated one, or a baseline."""

    PREDICTION = "prediction"  # output of the evaluated method
    WARPED = "warped"  # its warped source, before the generator (eq. 1)
    COPY_SOURCE = "copy_source"
    LANDMARK_WARP = "landmark_warp"
    SUPER_RESOLVED = "super_resolved"
    BICUBIC = "bicubic"


@dataclass(frozen=True)
class Metric:
    """A metric of a frame.

    Attributes:
        name: column name, and key in reports/metrics.json.
        label: display name.
        unit: unit of the value; empty for a ratio or an index.
        better: direction of improvement; `zero`: values closer to zero are better.
        digits: number of decimals to show.
        meaning: one-sentence description for readers of the report.
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
    Metric("ms_ssim", "MS-SSIM", "", "higher", 3, "SSIM over those of its five scales that fit the frame."),
    Metric("l1", "L1", "", "lower", 4, "Mean absolute difference of RGB in [0, 1]."),
    Metric("lpips", "LPIPS", "", "lower", 3, "Distance between AlexNet features (Zhang et al., 2018)."),
    Metric("psnr_mouth", "PSNR, mouth", "dB", "higher", 2, "PSNR of the lips and what is between them."),
    Metric("psnr_eyes", "PSNR, eyes", "dB", "higher", 2, "PSNR of the eyes and their lids."),
    Metric("psnr_face", "PSNR, face", "dB", "higher", 2, "PSNR of the face, except its mouth and its eyes."),
    Metric("psnr_outside", "PSNR, outside", "dB", "higher", 2, "PSNR of the pixels away from the head."),
    Metric(
        "psnr_disoccluded",
        "PSNR, disoccluded",
        "dB",
        "higher",
        2,
        "PSNR of the pixels whose content the source hides, as estimated from landmarks.",
    ),
    Metric("akd", "AKD", "px", "lower", 2, "Distance of dlib's 68 landmarks from the driving ones, at 256."),
    Metric("missed", "missed faces", "", "lower", 3, "Share of frames whose face dlib no longer finds."),
    Metric("aed", "AED", "", "lower", 3, "Distance from the dlib face embedding of the person to be shown."),
    Metric("csim", "CSIM", "", "higher", 3, "Cosine with the dlib face embedding of the person to be shown."),
    Metric("pose", "pose error", "degrees", "lower", 2, "Angle between predicted and driving head pose."),
    Metric(
        "eyes",
        "eye error",
        "",
        "lower",
        3,
        "Difference of the eyes' height over width from the driving frame's.",
    ),
    Metric(
        "mouth",
        "mouth error",
        "",
        "lower",
        3,
        "Difference of the mouth's height over width from the driving frame's.",
    ),
    Metric("gaze", "gaze error", "eye widths", "lower", 3, "Shift of the irises between the eyes' corners."),
    Metric(
        "flicker",
        "flicker",
        "",
        "zero",
        4,
        "Second difference of pixels over time, less that of the driving video.",
    ),
)
"""Metrics in the order in which tables show them."""
METRIC_NAMES = tuple(metric.name for metric in METRICS)
REGION_METRICS = tuple(name for name in METRIC_NAMES if name.startswith("psnr_"))
"""Metrics of a region of each frame, which tables of protocol 2 lack; see `faceanim.evaluation.regions`."""

TEST_SET = pa.schema(
    [
        pa.field("crop_id", pa.string(), nullable=False),
        pa.field("person_id", pa.string(), nullable=False),
        pa.field("frames", pa.int32(), nullable=False),  # driving frames: all but the first
        pa.field("sha256", pa.string(), nullable=False),  # hash of the crop file
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
"""Columns of the metrics; null where unavailable (no face, too few frames or pixels, a missing network)."""

FRAME_SCORES = pa.schema(
    [
        pa.field("task", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),  # a crop_id or a pair_id
        pa.field("person_id", pa.string(), nullable=False),  # person in the driving clip
        pa.field("frame", pa.int32(), nullable=False),  # number in the driving clip, from 1
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
