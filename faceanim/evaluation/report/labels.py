"""Names and colors of methods, texts of tasks, and the paper's results, as the page shows them.

The paper's results are for reference only: they cannot be compared with scores of this evaluation.
"""

from dataclasses import dataclass

from faceanim.evaluation.protocol import MethodName, Metric, Task

PAPER = (
    "Karim & Saleh, Face Image Animation with Adversarial Learning and Motion Transfer, iJIM 16(10), 2022, "
    "Table 1, doi 10.3991/ijim.v16i10.30047"
)
"""Citation of the paper."""


@dataclass(frozen=True)
class PaperResult:
    """A row of the paper's Table 1, with its digits as printed.

    Attributes:
        method: name of the method in the table.
        psnr: PSNR in dB; None: the table says N/A.
        ssim: SSIM, an index.
    """

    method: str
    psnr: str | None
    ssim: str


TABLE_1 = (
    PaperResult("X2Face", "22.54", "0.72"),
    PaperResult("MoCoGAN", "17.36", "0.54"),
    PaperResult("MonkeyNet", "30.87", "0.74"),
    PaperResult("Few-shot", None, "0.72"),
    PaperResult("PuppeteerGAN", None, "0.73"),
    PaperResult("The suggested method", "30.74", "0.90"),
)

PAPER_CAVEATS = (
    "The paper states neither the split, nor the frames, nor data_range, nor SSIM's window, and its code is "
    "not published: the measurement cannot be repeated.",
    "PSNR is published on two scales in this field: the same model scores 22 to 24 dB in one paper and "
    "about 31 dB in another. A table compiled from several papers mixes the two.",
    "A mean absolute error of 0.041, as published for models of this kind, limits PSNR to about 27.7 dB: a "
    "mean square is never less than the square of the mean, so PSNR ≤ −20 log10(L1).",
    "The text calls its own PSNR the highest, but in the table MonkeyNet's is 0.13 dB higher.",
)
"""Reasons why the paper's results are not comparable."""

REFERENCE = "reference"
"""Key of the reference run, which plots and tables show as another method."""

METHOD_LABELS = {
    MethodName.PREDICTION: "prediction",
    MethodName.WARPED: "its own warp",
    MethodName.COPY_SOURCE: "copied source",
    MethodName.LANDMARK_WARP: "landmark warp",
    MethodName.SUPER_RESOLVED: "super-resolved",
    MethodName.BICUBIC: "bicubic",
    REFERENCE: "reference",
}
REGION_LABELS = {
    "psnr": "whole frame",
    "psnr_mouth": "mouth",
    "psnr_eyes": "eyes",
    "psnr_face": "rest of the face",
    "psnr_outside": "outside the head",
    "psnr_disoccluded": "disoccluded",
}
"""Region of the frame that each PSNR measures."""
METHOD_COLORS = {
    MethodName.PREDICTION: ("#0072b2", "#4aa8e0"),
    MethodName.WARPED: ("#3aa6d8", "#9ad4f2"),
    MethodName.COPY_SOURCE: ("#7b8088", "#a3a9b2"),
    MethodName.LANDMARK_WARP: ("#d98a00", "#f0b040"),
    MethodName.SUPER_RESOLVED: ("#d55e00", "#f08a4b"),
    MethodName.BICUBIC: ("#009e73", "#3cc79e"),
    REFERENCE: ("#b3589a", "#dd9cca"),
}
"""Colors on light and dark backgrounds, after Okabe and Ito's palette, which is safe for color blindness."""

TASK_TEXTS = {
    Task.RECONSTRUCTION: ("Reconstruction", "The first frame of a clip is animated by its other frames."),
    Task.REENACTMENT: (
        "Re-enactment",
        "One person is animated by another. There is no ground truth, so identity, pose and expression are "
        "compared. The copied source keeps the identity simply by not moving: read the metrics together.",
    ),
    Task.SUPER_RESOLUTION: (
        "Super-resolution",
        "Crops are shrunk and enlarged again, by the super-resolution network alone.",
    ),
}
"""Heading and description of each task."""
DIRECTION_ARROWS = {"higher": "↑", "lower": "↓", "zero": "→0"}
DIRECTION_TEXTS = {
    "higher": "higher is better",
    "lower": "lower is better",
    "zero": "closer to zero is better",
}


def format_number(value: float, metric: Metric) -> str:
    """Format a value of a metric, with a true minus sign."""
    return f"{value:.{metric.digits}f}".replace("-", "−")


def format_signed(value: float, metric: Metric) -> str:
    """Format a difference with its sign, or without one where all digits shown are zero."""
    shown = f"{value:+.{metric.digits}f}".replace("-", "−")
    return shown if set(shown[1:]) - set("0.") else shown[1:]
