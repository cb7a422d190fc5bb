"""Both networks in ONNX Runtime, on the CPU or a GPU; torch is not needed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from faceanim.errors import FaceanimError
from faceanim.inference.backend import Device
from faceanim.inference.keypoints import AnimationLayers, Floats, KeypointArray
from faceanim.media.frames import Frame, Frames, to_float_array, to_uint8_array

DETECT, ANIMATE, ENLARGE = "detect", "animate", "enlarge"

FRAMES, SOURCE, PREDICTION = "frames", "source", "prediction"
DEFORMATION, PAINTED, ENLARGED = "deformation", "painted", "enlarged"

FORMAT = "faceanim networks 1"
"""The metadata's `format`; beside it are `size`, `output_size` and `detector_id` of the network."""
NOTICE = "What this makes is synthetic: say so, and mark it."


def keypoint_names(role: str, jacobians: bool) -> list[str]:
    """Names of the keypoints of a `source` or `driving` frame, or of `frames`."""
    return [f"{role}_value", f"{role}_jacobian"][: 1 + jacobians]


def prefix_names(graph: str, names: list[str]) -> list[str]:
    """The names in the file of a graph's inputs or outputs."""
    return [f"{graph}.{name}" for name in names]


BATCH = 8
CPU_PROVIDER, GPU_PROVIDER = "CPUExecutionProvider", "CUDAExecutionProvider"
LOG_SEVERITY = 4
"""ONNX Runtime's own messages, but those of a crash; whatever fails is raised all the same."""


class OnnxPortrait:
    """See `Portrait`."""

    def __init__(self, network: "OnnxNetwork", frame: Frame) -> None:
        self._network = network
        self._source = to_float_array(frame[None])
        self.keypoints = network.detect(frame[None])

    def frames(self, driving: KeypointArray, super_resolve: bool) -> Frames:
        """See `Portrait`."""
        (prediction,) = self._run([PREDICTION], driving)
        return to_uint8_array(self._network.enlarge(prediction) if super_resolve else prediction)

    def layers(self, driving: KeypointArray) -> AnimationLayers:
        """See `Portrait`."""
        deformation, painted = self._run([DEFORMATION, PAINTED], driving)
        return AnimationLayers(deformation, np.ascontiguousarray(painted.transpose(0, 2, 3, 1)))

    def _run(self, outputs: list[str], driving: KeypointArray) -> list[Floats]:
        given = [self._source, *list_arrays(self.keypoints), *list_arrays(driving)]
        return self._network.animate(given, outputs)


class OnnxNetwork:
    """See `Network`."""

    def __init__(self, sessions: dict[str, Any], about: dict[str, str], device: str) -> None:
        self._sessions = sessions
        self.device = device
        self.batch = BATCH
        self.size = int(about["size"])
        self.output_size = int(about["output_size"])
        self.detector_id = about["detector_id"]

    @classmethod
    def load(cls, path: Path, device: Device = "auto") -> "OnnxNetwork":
        """Load a file that `faceanim export` wrote.

        Raises:
            FaceanimError: the extra is missing, there is no such file, it is another or a damaged one, or a
                GPU was asked for and ONNX Runtime has none.
        """
        try:
            import onnx  # noqa: F401
            import onnxruntime
        except ImportError:
            raise FaceanimError("an ONNX model needs the extra: pip install 'faceanim[onnx]'") from None
        has_gpu = GPU_PROVIDER in onnxruntime.get_available_providers()
        if device == "cuda" and not has_gpu:
            raise FaceanimError("this ONNX Runtime has no GPU; onnxruntime-gpu has, or leave out --device")
        providers = [GPU_PROVIDER, CPU_PROVIDER] if has_gpu and device != "cpu" else [CPU_PROVIDER]
        model = read_model(path)
        try:
            sessions = {graph: create_session(part, providers) for graph, part in split_graphs(model)}
            network = cls(sessions, read_metadata(model), "cpu")
        except Exception as error:  # a damaged file ends in onnx's, ONNX Runtime's or Python's own errors
            raise damaged_error(path) from error
        # ONNX Runtime goes on without a GPU whose libraries are missing, and says nothing.
        if all(GPU_PROVIDER in each.get_providers() for each in sessions.values()):
            network.device = "cuda"
        elif device == "cuda":
            raise FaceanimError("ONNX Runtime can't use the GPU (CUDA, cuDNN?); leave out --device")
        return network

    def detect(self, frames: Frames) -> KeypointArray:
        """See `Network`."""
        found = self._sessions[DETECT].run(None, {f"{DETECT}.{FRAMES}": to_float_array(frames)})
        return KeypointArray(*found)

    def portrait(self, frame: Frame) -> OnnxPortrait:
        """See `Network`."""
        return OnnxPortrait(self, frame)

    def animate(self, given: list[Floats], outputs: list[str]) -> list[Floats]:
        """Run the animation: source (1, 3, S, S), its keypoints and the driving ones to the outputs named."""
        inputs, _ = graph_signatures(jacobians=len(given) > 3)[ANIMATE]
        feeds = dict(zip(prefix_names(ANIMATE, inputs), given, strict=True))
        made: list[Floats] = self._sessions[ANIMATE].run(prefix_names(ANIMATE, outputs), feeds)
        return made

    def enlarge(self, prediction: Floats) -> Floats:
        """Super-resolve generated frames (N, 3, S, S) in [0, 1]."""
        (enlarged,) = self._sessions[ENLARGE].run(
            prefix_names(ENLARGE, [ENLARGED]), {f"{ENLARGE}.{PREDICTION}": prediction}
        )
        return np.asarray(enlarged, np.float32)


def graph_signatures(jacobians: bool) -> dict[str, tuple[list[str], list[str]]]:
    """The inputs and outputs of each graph; in the file, they have its name as prefix."""
    found = keypoint_names(FRAMES, jacobians)
    posed = [SOURCE, *keypoint_names(SOURCE, jacobians), *keypoint_names("driving", jacobians)]
    return {
        DETECT: ([FRAMES], found),
        ANIMATE: (posed, [PREDICTION, DEFORMATION, PAINTED]),
        ENLARGE: ([PREDICTION], [ENLARGED]),
    }


def read_model(path: Path) -> Any:
    """A file that `faceanim export` wrote, as ONNX has it.

    Raises:
        FaceanimError: there is none, or it is another or a damaged one.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
        about = read_metadata(model)
    except FileNotFoundError:
        raise FaceanimError(f"there is no file {path}") from None
    except OSError as error:
        raise FaceanimError(f"{path} can't be read: {(error.strerror or str(error)).lower()}") from None
    except (DecodeError, UnicodeDecodeError):
        raise damaged_error(path) from None
    if about.get("format") != FORMAT:
        raise FaceanimError(f"{path} is no model of ours; `faceanim export {path.name}` makes one")
    # Here, for ONNX Runtime would read the files named there, wherever whoever made this one chose.
    if any(has_external_data(message) for message in iter_messages(model)):
        raise FaceanimError(f"{path} has weights in other files; those are not read: export it again")
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, UnicodeDecodeError):
        raise damaged_error(path) from None
    return model


def damaged_error(path: Path) -> FaceanimError:
    """What is said of a file that can't be made sense of."""
    return FaceanimError(f"{path} is damaged, or no ONNX model; export it again")


def read_metadata(model: Any) -> dict[str, str]:
    """What a model says of itself."""
    return {item.key: item.value for item in model.metadata_props}


def iter_messages(message: Any) -> Iterator[Any]:
    """A Protobuf message and all those in it, however deep."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from iter_messages(part)


def has_external_data(message: Any) -> bool:
    """Whether a Protobuf message is a tensor whose values lie in another file."""
    from onnx import TensorProto

    if not isinstance(message, TensorProto):
        return False
    return message.data_location != TensorProto.DEFAULT or len(message.external_data) > 0


def split_graphs(model: Any) -> Iterator[tuple[str, bytes]]:
    """The name of each graph, and a model of its own of it."""
    from onnx.utils import Extractor

    extractor = Extractor(model)
    given = {item.name for item in model.graph.output}
    jacobians = set(prefix_names(DETECT, keypoint_names(FRAMES, jacobians=True))) <= given
    for graph, (inputs, outputs) in graph_signatures(jacobians).items():
        part = extractor.extract_model(prefix_names(graph, inputs), prefix_names(graph, outputs))
        yield graph, part.SerializeToString()


def create_session(model: bytes, providers: list[str]) -> Any:
    """ONNX Runtime with a model, on the first of the providers that works; equal inputs give equal bytes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = LOG_SEVERITY
    options.use_deterministic_compute = True  # a GPU would sum in any order
    # Threads that wait would keep the cores from whatever decodes and encodes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=providers)


def list_arrays(points: KeypointArray) -> list[Floats]:
    """Keypoints as the one or two arrays that they are."""
    return [points.value] if points.jacobian is None else [points.value, points.jacobian]
