"""What is measured: the tasks, the methods and the metrics, by the names that tables and reports use."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Task(StrEnum):
    """What a method is asked to do."""

    RECONSTRUCTION = "reconstruction"  # a clip's first frame takes on the motion of its other frames
    REENACTMENT = "reenactment"  # it takes on another person's
    SUPER_RESOLUTION = "super_resolution"  # crops shrunk and enlarged again: the second network alone


class Method(StrEnum):
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
