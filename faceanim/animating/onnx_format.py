"""How a model lies in one ONNX file: three graphs that share nothing, each with a prefix to its names."""

DETECT, ANIMATE, ENLARGE = "detect", "animate", "enlarge"

FRAMES, SOURCE, PREDICTION = "frames", "source", "prediction"
DEFORMATION, PAINTED, ENLARGED = "deformation", "painted", "enlarged"

FORMAT = "faceanim networks 1"
"""The metadata's `format`; beside it are `size`, `output_size` and `detector_id` of the network."""
NOTICE = "What this makes is synthetic: say so, and mark it."


def keypoint_names(role: str, jacobians: bool) -> list[str]:
    """Names of the keypoints of a `source` or `driving` frame, or of `frames`."""
    return [f"{role}_value", f"{role}_jacobian"][: 1 + jacobians]


def named(graph: str, names: list[str]) -> list[str]:
    """The names in the file of a graph's inputs or outputs."""
    return [f"{graph}.{name}" for name in names]
