"""What methods are called and which colour stands for them: the same everywhere on the page."""

from dataclasses import dataclass

from faceanim.evaluation.protocol import MethodName, Metric, Task

PAPER = (
    "Karim & Saleh, Face Image Animation with Adversarial Learning and Motion Transfer, iJIM 16(10), 2022, "
    "Table 1, doi 10.3991/ijim.v16i10.30047"
)


@dataclass(frozen=True)
class PaperResult:
    """A row of the paper's Table 1, digit for digit; None: it says N/A.

    Attributes:
        method: its name there.
        psnr: in dB.
        ssim: an index.
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
    "It states neither the split, nor the frames, nor data_range, nor SSIM's window, and there is no code: "
    "nobody can measure the same again.",
    "PSNR is published on two scales in this field: the same model is given 22 to 24 dB in one paper and "
    "about 31 dB in another. A table that takes its rows from several papers mixes them.",
    "A mean absolute error of 0.041, as is published for models of this kind, allows no more than about "
    "27.7 dB: a mean square is never less than the square of the mean, so PSNR ≤ −20 log10(L1).",
    "The text calls its own PSNR the highest; in the table MonkeyNet's is 0.13 dB higher.",
)

REFERENCE = "rival"
"""Another evaluation, drawn as a method of its own."""

METHOD_LABELS = {
    MethodName.PREDICTION: "prediction",
    MethodName.WARPED: "its warp alone",
    MethodName.COPY_SOURCE: "copied source",
    MethodName.LANDMARK_WARP: "landmark warp",
    MethodName.SUPER_RESOLVED: "super-resolved",
    MethodName.BICUBIC: "bicubic",
    REFERENCE: "the other",
}
METHOD_COLORS = {
    MethodName.PREDICTION: ("#0072b2", "#4aa8e0"),
    MethodName.WARPED: ("#3aa6d8", "#9ad4f2"),
    MethodName.COPY_SOURCE: ("#7b8088", "#a3a9b2"),
    MethodName.LANDMARK_WARP: ("#d98a00", "#f0b040"),
    MethodName.SUPER_RESOLVED: ("#d55e00", "#f08a4b"),
    MethodName.BICUBIC: ("#009e73", "#3cc79e"),
    REFERENCE: ("#b3589a", "#dd9cca"),
}
"""On light and on dark, after Okabe and Ito's palette, which colour-blind readers tell apart."""

TASK_TEXTS = {
    Task.RECONSTRUCTION: ("Reconstruction", "A clip's first frame takes on the motion of its other frames."),
    Task.REENACTMENT: (
        "Re-enactment",
        "A person takes on the motion of another. No frame is the right one, so identity, pose and "
        "expression are compared. The copied source keeps its identity by doing nothing: read rows together.",
    ),
    Task.SUPER_RESOLUTION: (
        "Super-resolution",
        "Crops shrunk and enlarged again: the second network alone.",
    ),
}
"""Heading and what is done."""
DIRECTION_ARROWS = {"higher": "↑", "lower": "↓", "zero": "→0"}
DIRECTION_TEXTS = {
    "higher": "higher is better",
    "lower": "lower is better",
    "zero": "nearer to nought is better",
}


def format_number(value: float, metric: Metric) -> str:
    """A figure as it is shown, with a true minus."""
    return f"{value:.{metric.digits}f}".replace("-", "−")


def format_signed(value: float, metric: Metric) -> str:
    """A difference as it is shown: without a sign where its digits are noughts."""
    shown = f"{value:+.{metric.digits}f}".replace("-", "−")
    return shown if set(shown[1:]) - set("0.") else shown[1:]
