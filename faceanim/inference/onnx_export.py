"""Both networks to one ONNX file, which ONNX Runtime runs without torch."""

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
from faceanim.errors import FaceanimError, wrap_disk_errors
from faceanim.inference.animator import Animator, to_arrays, to_keypoints
from faceanim.inference.onnx_backend import (
    ANIMATE,
    DEFORMATION,
    DETECT,
    ENLARGE,
    FORMAT,
    NOTICE,
    PAINTED,
    PREDICTION,
    OnnxNetwork,
    graph_signatures,
    iter_messages,
    list_arrays,
)
from faceanim.inference.torch_backend import hash_weights
from faceanim.media.frames import Frames
from faceanim.media.tensors import to_float
from faceanim.models.animation import AnimationModel
from faceanim.models.keypoints import Keypoints
from faceanim.models.super_resolution import SuperResolution
from faceanim.tables import atomic_path


@torch.inference_mode()
def measure_parity(animator: Animator, network: OnnxNetwork, frames: Frames | None = None) -> float:
    """The largest difference in keypoints, predictions, deformations, what is painted, and enlargements.

    Args:
        animator: torch's.
        network: ONNX Runtime's, of the same model.
        frames: (N, size, size, 3) uint8 RGB, the first being the source; without them random ones.
    """
    if frames is None:
        side = animator.size
        frames = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), dtype=np.uint8)
    floats = to_float(frames)
    source = animator.prepare(floats[:1])
    keypoints = animator.detect(floats[1:])
    found = network.detect(frames[1:])
    # Each graph is given the same, so that what one errs does not count for another.
    posed = animator.animate_keypoints(source, to_keypoints(found, "cpu"))
    prediction = posed.prediction.clamp(0, 1)
    given = [floats[:1].numpy(), *list_arrays(to_arrays(source.keypoints)), *list_arrays(found)]
    made = network.animate(given, [PREDICTION, DEFORMATION, PAINTED])
    theirs = [prediction, posed.deformation, posed.prediction - posed.warped, animator.enlarge(prediction)]
    pairs = [
        *zip(list_arrays(to_arrays(keypoints)), list_arrays(found), strict=True),
        *zip([each.numpy() for each in theirs], [*made, network.enlarge(prediction.numpy())], strict=True),
    ]
    return max(float(np.abs(a - b).max()) for a, b in pairs)


OPSET = 20
"""The first with a grid sampler as torch has it."""
TOLERANCE = 1e-3
"""Of positions in [-1, 1] and colours in [0, 1]."""
BATCH = 3
"""Frames that are shown to the exporter; any other number is as good afterwards."""


class DetectModule(nn.Module):
    """Frames (N, 3, S, S) to their keypoints."""

    def __init__(self, animation: AnimationModel) -> None:
        super().__init__()
        self.animation = animation

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        return list_tensors(self.animation.detect(frames))


class AnimateModule(nn.Module):
    """A source (1, 3, S, S), its keypoints and N driving ones to what `Portrait` gives of them."""

    def __init__(self, animation: AnimationModel) -> None:
        super().__init__()
        self.animation = animation

    def forward(self, source: Tensor, *keypoints: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class; `keypoints` are the source's, then the driving ones."""
        half = len(keypoints) // 2
        kp_source, kp_driving = Keypoints(*keypoints[:half]), Keypoints(*keypoints[half:])
        count = kp_driving.value.shape[0]
        posed = self.animation.animate(source.expand(count, -1, -1, -1), kp_source.expand(count), kp_driving)
        return posed.prediction.clamp(0, 1), posed.deformation, posed.prediction - posed.warped


class EnlargeModule(nn.Module):
    """Generated frames (N, 3, S, S) to super-resolved ones."""

    def __init__(self, super_resolution: SuperResolution) -> None:
        super().__init__()
        self.super_resolution = super_resolution

    def forward(self, prediction: Tensor) -> Tensor:
        """See the class."""
        generated = torch.ones_like(prediction[:, 0, 0, 0], dtype=torch.bool)
        enlarged: Tensor = self.super_resolution(prediction, generated)
        return enlarged


def list_tensors(keypoints: Keypoints) -> tuple[Tensor, ...]:
    """Keypoints as the one or two tensors that they are."""
    return (keypoints.value,) if keypoints.jacobian is None else (keypoints.value, keypoints.jacobian)


@torch.no_grad()
def export_onnx(folder: Path, out: Path) -> float:
    """Write both networks of a folder to one file, and see that it gives what they give.

    Equal weights give equal bytes, with the same versions of torch and ONNX.

    Returns:
        the largest difference on random inputs, of positions in [-1, 1] and colours in [0, 1].

    Raises:
        FaceanimError: the extra is missing, the folder holds no model or a broken one, `out` can't be
            written, or what was exported differs by more than `TOLERANCE`; then nothing is written.
    """
    require_onnx()
    check_paths(folder, out)
    animator = Animator.load(folder, "cpu")
    if not all(has_finite_weights(network) for network in (animator.animation, animator.super_resolution)):
        raise FaceanimError(f"{folder} has weights that are no numbers; it is of a training that failed")
    model = add_metadata(merge_graphs([export_graph(*graph) for graph in list_graphs(animator)]), animator)
    with wrap_disk_errors(), atomic_path(out) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
        difference = measure_parity(animator, OnnxNetwork.load(temporary, "cpu"))
        if not difference <= TOLERANCE:  # nor is it if it is no number
            raise FaceanimError(f"{folder} was exported, but differs by {difference:.2g}; nothing is written")
    return difference


def check_paths(folder: Path, out: Path) -> None:
    """See that there is something to export and a place for it, before it takes its time.

    Raises:
        FaceanimError: there is not.
    """
    if not folder.is_dir():
        raise FaceanimError(f"there is no model {folder}: what is exported is a folder with both networks")
    if out.is_dir():
        raise FaceanimError(f"{out} is a folder; name a file")
    if any(place.exists() and not place.is_dir() for place in out.parents):
        raise FaceanimError(f"{out} can't be written: {out.parent} is no folder")


def has_finite_weights(network: nn.Module) -> bool:
    """Whether all weights are numbers, and none is infinite."""
    return all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values())


def require_onnx() -> None:
    """See that what exports is there.

    Raises:
        FaceanimError: it is not.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise FaceanimError("ONNX needs its extra: pip install 'faceanim[onnx]'") from None


GraphSpec = tuple[str, nn.Module, Sequence[Tensor], int, bool]


def list_graphs(animator: Animator) -> Iterator[GraphSpec]:
    """Of each graph: name, module, inputs, how many of these are not a batch, whether there are jacobians."""
    frames = torch.zeros(BATCH, 3, animator.size, animator.size)
    detect = DetectModule(animator.animation).eval()
    driving = detect(frames)
    source = tuple(part[:1] for part in driving)
    jacobians = len(driving) > 1
    yield DETECT, detect, (frames,), 0, jacobians
    animate = AnimateModule(animator.animation).eval()
    yield ANIMATE, animate, (frames[:1], *source, *driving), 1 + len(source), jacobians
    yield ENLARGE, EnlargeModule(animator.super_resolution).eval(), (frames,), 0, jacobians


def export_graph(graph: str, module: nn.Module, given: Sequence[Tensor], fixed: int, jacobians: bool) -> Any:
    """One graph as an ONNX model, its names with the graph's as prefix."""
    from onnx.compose import add_prefix

    inputs, outputs = graph_signatures(jacobians)[graph]
    any_number = torch.export.Dim("batch", min=1, max=4096)
    sizes = [{} if number < fixed else {0: any_number} for number in range(len(given))]
    of_arguments = (sizes[0], tuple(sizes[1:])) if len(given) > 1 else (sizes[0],)
    with silence_exporter():
        program = torch.onnx.export(
            module,
            tuple(given),
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=of_arguments,
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    return add_prefix(program.model_proto, f"{graph}.")


def merge_graphs(models: Sequence[Any]) -> Any:
    """Models that share no name, as one with all of their inputs and outputs."""
    from onnx.compose import merge_models
    from onnx.helper import make_opsetid

    whole = models[0]
    for other in models[1:]:
        whole = merge_models(whole, other, io_map=[])
    # Merging lists those of each model.
    opsets = {(each.domain, each.version) for each in whole.opset_import}
    del whole.opset_import[:]
    whole.opset_import.extend(make_opsetid(*each) for each in sorted(opsets))
    return whole


def add_metadata(model: Any, animator: Animator) -> Any:
    """The model, with what it says of itself; what the exporter says of it is dropped.

    That names the lines of code in the folders of this machine, so the bytes would depend on where those are.
    """
    for message in iter_messages(model):
        for field in {"metadata_props", "doc_string"} & set(message.DESCRIPTOR.fields_by_name):
            message.ClearField(field)
    model.producer_name, model.producer_version = "faceanim", __version__
    model.graph.name = "faceanim"
    about = {
        "format": FORMAT,
        "faceanim": __version__,
        "size": str(animator.size),
        "output_size": str(animator.output_size),
        "detector_id": hash_weights(animator.animation.keypoint_detector),
        "notice": NOTICE,
    }
    for key, value in about.items():
        model.metadata_props.add(key=key, value=value)
    return model


@contextmanager
def silence_exporter() -> Iterator[None]:
    """Keep the exporter's own report from the terminal; what fails is raised all the same."""
    loud = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(loud)
