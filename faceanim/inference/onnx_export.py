"""Export of both networks to one ONNX file that ONNX Runtime runs without torch.

The export includes a measurement of how far ONNX Runtime's results are from those of torch.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from faceanim._version import __version__
from faceanim.errors import FaceanimError, name_missing_packages, wrap_disk_errors
from faceanim.inference.animator import Animator, to_arrays, to_keypoints
from faceanim.inference.keypoints import NUM_LANDMARKS, Floats
from faceanim.inference.onnx_backend import (
    ANIMATE,
    DEFORMATION,
    DETECT,
    ENCODE,
    ENLARGE,
    FORMAT,
    NOTICE,
    PAINTED,
    PREDICTION,
    GraphLayout,
    OnnxNetwork,
    iter_messages,
    list_arrays,
)
from faceanim.inference.torch_backend import identify_detectors
from faceanim.media.frames import Frames
from faceanim.media.tensors import to_float
from faceanim.models.animation import AnimationModel
from faceanim.models.grids import shrink
from faceanim.models.keypoints import Keypoints
from faceanim.models.super_resolution import SuperResolution
from faceanim.progress import ProgressCallback, ignore_progress
from faceanim.tables import atomic_path, check_target

OPSET = 20
"""First opset whose grid sampler matches that of torch."""
TOLERANCE = 1e-3
"""Maximum difference of positions in [-1, 1] and colors in [0, 1]."""
BATCH = 3
"""Number of frames in the example inputs of the exporter; the exported graphs accept any other number."""

GraphSpec = tuple[str, nn.Module, Sequence[Tensor], int]
"""Name of the graph, module, example inputs, and number of leading inputs without a batch dimension."""


@torch.no_grad()
def export_onnx(
    folder: Path, out: Path, overwrite: bool = False, on_progress: ProgressCallback = ignore_progress
) -> float:
    """Write both networks of a folder to one file, and check that it computes what they compute.

    Equal weights give identical bytes, with the same versions of torch and ONNX.

    Args:
        folder: folder with both networks.
        out: path of the `.onnx` file to write.
        overwrite: replace an existing file.
        on_progress: called with the number of steps done and the total.

    Returns:
        The largest difference on random inputs, of positions in [-1, 1] and colors in [0, 1].

    Raises:
        FaceanimError: the extra `onnx` is not installed, the folder holds no model or a damaged one, `out`
            cannot be written, or the exported model differs by more than `TOLERANCE`; then nothing is
            written.
    """
    with name_missing_packages("export to ONNX"):
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    check_paths(folder, out, overwrite)
    animator = Animator.load(folder, "cpu")
    if not all(has_finite_weights(network) for network in (animator.animation, animator.super_resolution)):
        raise FaceanimError(f"cannot export {folder}: its weights are not finite, so its training has failed")
    graphs: list[Any] = []
    specs, layout = list_graphs(animator)
    steps = len(specs) + 1
    for graph in specs:
        on_progress(len(graphs), steps, f"exporting the graph `{graph[0]}`")
        graphs.append(export_graph(*graph, layout))
    on_progress(len(graphs), steps, "comparing with torch")
    model = add_metadata(merge_graphs(graphs), animator)
    with wrap_disk_errors(), atomic_path(out) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
        difference = measure_parity(animator, OnnxNetwork.load(temporary, "cpu"))
        if not difference <= TOLERANCE:  # negated, so that NaN is refused, too
            raise FaceanimError(
                f"cannot export {folder}: the exported model differs by {difference:.2g}; nothing is written"
            )
    on_progress(steps, steps)
    return difference


def check_paths(folder: Path, out: Path, overwrite: bool = False) -> None:
    """Check the input and output paths before the export, which takes time.

    Raises:
        FaceanimError: `folder` is not a folder, or `out` cannot be written.
    """
    if not folder.is_dir():
        raise FaceanimError(f"cannot export {folder}: not a folder with both networks")
    check_target(out, overwrite, [folder])


def has_finite_weights(network: nn.Module) -> bool:
    """Check whether all weights of a network are finite."""
    return all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values())


@torch.inference_mode()
def measure_parity(animator: Animator, network: OnnxNetwork, frames: Frames | None = None) -> float:
    """Compute the largest difference in keypoints, predictions, deformations, residuals and enlarged frames.

    Args:
        animator: the model in torch.
        network: the same model in ONNX Runtime.
        frames: (N, size, size, 3) uint8 RGB, the first of which is the source; None: random frames.
    """
    if frames is None:
        side = animator.size
        frames = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), dtype=np.uint8)
    floats, landmarks = to_float(frames), random_landmarks(len(frames))
    source = animator.prepare(floats[:1], landmarks=torch.from_numpy(landmarks[:1]))
    keypoints = animator.detect(floats[1:], torch.from_numpy(landmarks[1:]))
    onnx_keypoints = network.detect(frames[1:], landmarks[1:])
    # Both get the same inputs in each graph, so that errors of one graph do not count for the next.
    animation = animator.animate_keypoints(source, to_keypoints(onnx_keypoints, "cpu"))
    prediction = animation.prediction.clamp(0, 1)
    features = [feature.numpy() for feature in source.features]
    points = [*list_arrays(to_arrays(source.keypoints)), *list_arrays(onnx_keypoints)]
    outputs = network.animate([floats[:1].numpy(), *features, *points], [PREDICTION, DEFORMATION, PAINTED])
    expected = [
        prediction,
        animation.deformation,
        animation.prediction - animation.warped,
        animator.enlarge(prediction),
    ]
    pairs = [
        *zip(list_arrays(to_arrays(keypoints))[:2], list_arrays(onnx_keypoints)[:2], strict=True),
        *zip(features, network.encode(floats[:1].numpy()), strict=True),
        *zip(
            [tensor.numpy() for tensor in expected],
            [*outputs, network.enlarge(prediction.numpy())],
            strict=True,
        ),
    ]
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def random_landmarks(count: int) -> Floats:
    """Draw landmarks that move a little, (count, 68, 2); the last of several frames has none (NaN)."""
    random = np.random.default_rng(0)
    start, moves = random.uniform(-0.7, 0.7, (1, NUM_LANDMARKS, 2)), random.normal(0, 0.05, (count, 1, 2))
    landmarks = (start + moves + random.normal(0, 0.02, (count, NUM_LANDMARKS, 2))).astype(np.float32)
    landmarks[2:][-1:] = np.nan
    return landmarks


class DetectModule(nn.Module):
    """Keypoint detection in frames (N, 3, S, S)."""

    def __init__(self, animation: AnimationModel) -> None:
        super().__init__()
        self.animation = animation

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Detect the keypoints; return positions and, if present, jacobians."""
        keypoints: Keypoints = self.animation.keypoint_detector(shrink(frames, self.animation.keypoint_size))
        return list_tensors(keypoints)


class EncodeModule(nn.Module):
    """Encoding of a source (1, 3, S, S) for the generator."""

    def __init__(self, animation: AnimationModel) -> None:
        super().__init__()
        self.animation = animation

    def forward(self, source: Tensor) -> tuple[Tensor, ...]:
        """Compute the features of the source."""
        return self.animation.encode(source)


class AnimateModule(nn.Module):
    """Animation of a source (1, 3, S, S), given its points and N driving ones, as `Portrait` needs it."""

    def __init__(self, animation: AnimationModel, layout: GraphLayout) -> None:
        super().__init__()
        self.animation = animation
        self.layout = layout

    def forward(self, source: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute prediction, deformation and residual from features, the source's and the driving points."""
        features, points = inputs[: self.layout.features], inputs[self.layout.features :]
        half = len(points) // 2
        kp_source, kp_driving = self._to_keypoints(points[:half]), self._to_keypoints(points[half:])
        count = kp_driving.value.shape[0]
        image, *parts = (part.expand(count, -1, -1, -1) for part in (source, *features))
        result = self.animation.animate(image, kp_source.expand(count), kp_driving, tuple(parts))
        return result.prediction.clamp(0, 1), result.deformation, result.prediction - result.warped

    def _to_keypoints(self, parts: Sequence[Tensor]) -> Keypoints:
        jacobian = parts[1] if self.layout.jacobians else None
        return Keypoints(parts[0], jacobian, parts[-1] if self.layout.landmarks else None)


class EnlargeModule(nn.Module):
    """Super-resolution of generated frames (N, 3, S, S)."""

    def __init__(self, super_resolution: SuperResolution) -> None:
        super().__init__()
        self.super_resolution = super_resolution

    def forward(self, prediction: Tensor) -> Tensor:
        """Super-resolve the frames."""
        generated = torch.ones_like(prediction[:, 0, 0, 0], dtype=torch.bool)
        enlarged: Tensor = self.super_resolution(prediction, generated)
        return enlarged


def list_tensors(keypoints: Keypoints) -> tuple[Tensor, ...]:
    """Return points as a tuple of tensors: positions and, if present, jacobians and landmarks."""
    parts = keypoints.value, keypoints.jacobian, keypoints.landmarks
    return tuple(part for part in parts if part is not None)


def list_graphs(animator: Animator) -> tuple[list[GraphSpec], GraphLayout]:
    """Return the specification of each graph, and the layout of all."""
    animation = animator.animation
    frames = torch.zeros(BATCH, 3, animator.size, animator.size)
    keypoints, features = animation.detect(frames), animation.encode(frames[:1])
    layout = GraphLayout(keypoints.jacobian is not None, animator.uses_landmarks, len(features))
    driving = list_tensors(keypoints)
    fixed = (frames[:1], *features, *(part[:1] for part in driving))
    encode = [(ENCODE, EncodeModule(animation).eval(), (frames[:1],), 1)] if features else []
    return [
        (DETECT, DetectModule(animation).eval(), (frames,), 0),
        *encode,
        (ANIMATE, AnimateModule(animation, layout).eval(), (*fixed, *driving), len(fixed)),
        (ENLARGE, EnlargeModule(animator.super_resolution).eval(), (frames,), 0),
    ], layout


def export_graph(
    graph: str, module: nn.Module, inputs: Sequence[Tensor], fixed: int, layout: GraphLayout
) -> Any:
    """Export one graph as an ONNX model, with the graph's name as prefix to all names; see `GraphSpec`."""
    from onnx.compose import add_prefix

    input_names, output_names = layout.signatures[graph]
    batch = torch.export.Dim("batch", min=1, max=4096)
    dimensions = [{} if number < fixed else {0: batch} for number in range(len(inputs))]
    dynamic_shapes = (dimensions[0], tuple(dimensions[1:])) if len(inputs) > 1 else (dimensions[0],)
    with silence_exporter():
        program = torch.onnx.export(
            module,
            tuple(inputs),
            input_names=input_names,
            output_names=output_names,
            dynamic_shapes=dynamic_shapes,
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    return add_prefix(program.model_proto, f"{graph}.")


def merge_graphs(models: Sequence[Any]) -> Any:
    """Merge models that share no names into one that has all of their inputs and outputs."""
    from onnx.compose import merge_models
    from onnx.helper import make_opsetid

    merged = models[0]
    for model in models[1:]:
        merged = merge_models(merged, model, io_map=[])
    # Merging lists the opsets of each model, so they repeat.
    opsets = {(opset.domain, opset.version) for opset in merged.opset_import}
    del merged.opset_import[:]
    merged.opset_import.extend(make_opsetid(*opset) for opset in sorted(opsets))
    return merged


def add_metadata(model: Any, animator: Animator) -> Any:
    """Set the metadata of a model, and remove the metadata left by the exporter.

    The exporter names lines of code by their paths on this machine, so the bytes would depend on these paths.
    """
    for message in iter_messages(model):
        for field in {"metadata_props", "doc_string"} & set(message.DESCRIPTOR.fields_by_name):
            message.ClearField(field)
    model.producer_name, model.producer_version = "faceanim", __version__
    model.graph.name = "faceanim"
    metadata = {
        "format": FORMAT,
        "faceanim": __version__,
        "size": str(animator.size),
        "output_size": str(animator.output_size),
        "detector_id": identify_detectors(animator),
        "notice": NOTICE,
    }
    if animator.landmark_detector is not None:
        metadata["landmark_detector"] = animator.landmark_detector
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    return model


@contextmanager
def silence_exporter() -> Iterator[None]:
    """Suppress the reports of the exporter; failures are still raised."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
