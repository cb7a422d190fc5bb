"""What methods are called and which colour stands for them: the same everywhere on the page."""

from faceanim.evaluation.catalog import Method, Metric, Task

RIVAL = "rival"
"""Another evaluation, drawn as a method of its own."""

NAMES = {
    Method.PREDICTION: "prediction",
    Method.WARPED: "its warp alone",
    Method.COPY_SOURCE: "copied source",
    Method.LANDMARK_WARP: "landmark warp",
    Method.SUPER_RESOLVED: "super-resolved",
    Method.BICUBIC: "bicubic",
    RIVAL: "the other",
}
COLOURS = {
    Method.PREDICTION: ("#0072b2", "#4aa8e0"),
    Method.WARPED: ("#3aa6d8", "#9ad4f2"),
    Method.COPY_SOURCE: ("#7b8088", "#a3a9b2"),
    Method.LANDMARK_WARP: ("#d98a00", "#f0b040"),
    Method.SUPER_RESOLVED: ("#d55e00", "#f08a4b"),
    Method.BICUBIC: ("#009e73", "#3cc79e"),
    RIVAL: ("#b3589a", "#dd9cca"),
}
"""On light and on dark, after Okabe and Ito's palette, which colour-blind readers tell apart."""

TASKS = {
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
ARROWS = {"higher": "↑", "lower": "↓", "zero": "→0"}
SPOKEN = {"higher": "higher is better", "lower": "lower is better", "zero": "nearer to nought is better"}


def number(value: float, metric: Metric) -> str:
    """A figure as it is shown, with a true minus."""
    return f"{value:.{metric.digits}f}".replace("-", "−")


def signed(value: float, metric: Metric) -> str:
    """A difference as it is shown: without a sign where its digits are noughts."""
    shown = f"{value:+.{metric.digits}f}".replace("-", "−")
    return shown if set(shown[1:]) - set("0.") else shown[1:]
