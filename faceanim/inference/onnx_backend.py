"""Both networks in ONNX Runtime, on the CPU or a GPU, without torch.

A model is one ONNX file that holds independent graphs, each with a prefix to its names. The graph `encode`
is only there if the generator needs features of the source.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceanim.errors import FaceanimError, name_missing_packages
from faceanim.inference.backend import Device
from faceanim.inference.keypoints import NUM_LANDMARKS, AnimationLayers, Floats, KeypointArray
from faceanim.media.frames import Frame, Frames, to_float_array, to_uint8_array

DETECT, ENCODE, ANIMATE, ENLARGE = "detect", "encode", "animate", "enlarge"

FRAMES, SOURCE, DRIVING, PREDICTION = "frames", "source", "driving", "prediction"
DEFORMATION, PAINTED, ENLARGED = "deformation", "painted", "enlarged"

FORMAT = "faceanim networks 1"
"""Value of `format` in the metadata, which also holds `size`, `output_size`, `detector_id` and, if the model
uses landmarks, `landmark_detector`."""
NOTICE = "What this makes is synthetic: say so, and mark it."

BATCH = 8
CPU_PROVIDER, GPU_PROVIDER = "CPUExecutionProvider", "CUDAExecutionProvider"
LOG_SEVERITY = 4
"""Log level at which ONNX Runtime reports only crashes; all other failures are raised anyway."""


@dataclass(frozen=True)
class GraphLayout:
    """Properties of a model that decide on the inputs and outputs of its graphs.

    Attributes:
        jacobians: whether keypoints have jacobians.
        landmarks: whether landmarks move the face, too.
        features: number of tensors into which the generator encodes the source; 0: there is no such graph.
    """

    jacobians: bool
    landmarks: bool
    features: int

    @classmethod
    def read(cls, model: Any) -> "GraphLayout":
        """Read the layout of a model from the names of its inputs and outputs."""
        inputs, outputs = ({item.name for item in items} for items in (model.graph.input, model.graph.output))
        return cls(
            jacobians=f"{DETECT}.{FRAMES}_jacobian" in outputs,
            landmarks=f"{ANIMATE}.{DRIVING}_landmarks" in inputs,
            features=sum(name.startswith(f"{ENCODE}.") for name in outputs),
        )

    @property
    def signatures(self) -> dict[str, tuple[list[str], list[str]]]:
        """Names of the inputs and outputs of each graph, without the prefix used in the file."""
        features = [f"features_{number}" for number in range(self.features)]
        points = [*self._name_points(SOURCE), *self._name_points(DRIVING)]
        encode = {ENCODE: ([SOURCE], features)} if features else {}
        return {
            DETECT: ([FRAMES], self._name_points(FRAMES, with_landmarks=False)),
            **encode,
            ANIMATE: ([SOURCE, *features, *points], [PREDICTION, DEFORMATION, PAINTED]),
            ENLARGE: ([PREDICTION], [ENLARGED]),
        }

    def _name_points(self, role: str, with_landmarks: bool = True) -> list[str]:
        """Return the names of the points of a role: a `source` or `driving` frame, or `frames`."""
        parts = {"value": True, "jacobian": self.jacobians, "landmarks": self.landmarks and with_landmarks}
        return [f"{role}_{part}" for part, is_there in parts.items() if is_there]


class OnnxPortrait:
    """A portrait prepared for ONNX Runtime; implements `Portrait`."""

    def __init__(self, network: "OnnxNetwork", frame: Frame, landmarks: Floats | None) -> None:
        self._network = network
        self._source = to_float_array(frame[None])
        self._features = network.encode(self._source)
        self.keypoints = network.detect(frame[None], landmarks)

    def frames(self, driving: KeypointArray, super_resolve: bool) -> Frames:
        """Animate the portrait; see `Portrait.frames`."""
        (prediction,) = self._run([PREDICTION], driving)
        return to_uint8_array(self._network.enlarge(prediction) if super_resolve else prediction)

    def layers(self, driving: KeypointArray) -> AnimationLayers:
        """Compute the layers; see `Portrait.layers`."""
        deformation, residual = self._run([DEFORMATION, PAINTED], driving)
        return AnimationLayers(deformation, np.ascontiguousarray(residual.transpose(0, 2, 3, 1)))

    def _run(self, outputs: list[str], driving: KeypointArray) -> list[Floats]:
        points = [*list_arrays(self.keypoints), *list_arrays(driving)]
        inputs = [self._source, *self._features, *points]
        return self._network.animate(inputs, outputs)


class OnnxNetwork:
    """Both networks in ONNX Runtime; implements `Network`."""

    def __init__(
        self, sessions: dict[str, Any], layout: GraphLayout, metadata: dict[str, str], device: str
    ) -> None:
        self._sessions = sessions
        self._layout = layout
        self.device = device
        self.batch = BATCH
        self.size = int(metadata["size"])
        self.output_size = int(metadata["output_size"])
        self.detector_id = metadata["detector_id"]
        self.landmark_detector = metadata["landmark_detector"] if layout.landmarks else None

    @classmethod
    def load(cls, path: Path, device: Device = "auto") -> "OnnxNetwork":
        """Load a file written by `faceanim export`.

        Raises:
            FaceanimError: the extra is not installed, the file is missing, damaged or another model, or a GPU
                was requested and ONNX Runtime has none.
        """
        with name_missing_packages(f"load {path}"):
            import onnx  # noqa: F401
            import onnxruntime
        has_gpu = GPU_PROVIDER in onnxruntime.get_available_providers()
        if device == "cuda" and not has_gpu:
            raise FaceanimError(
                "cannot use the GPU: this ONNX Runtime has no GPU support; "
                "install onnxruntime-gpu or omit --device"
            )
        providers = [GPU_PROVIDER, CPU_PROVIDER] if has_gpu and device != "cpu" else [CPU_PROVIDER]
        model = read_model(path)
        try:
            layout = GraphLayout.read(model)
            parts = split_graphs(model, layout)
            sessions = {graph: create_session(part, providers) for graph, part in parts}
            network = cls(sessions, layout, read_metadata(model), "cpu")
        except Exception as error:  # a damaged file raises errors of onnx, ONNX Runtime or Python
            raise make_damaged_error(path) from error
        # ONNX Runtime silently falls back to the CPU if the libraries of the GPU are missing.
        if all(GPU_PROVIDER in session.get_providers() for session in sessions.values()):
            network.device = "cuda"
        elif device == "cuda":
            raise FaceanimError(
                "cannot use the GPU: ONNX Runtime fell back to the CPU; check CUDA and cuDNN or omit --device"
            )
        return network

    def detect(self, frames: Frames, landmarks: Floats | None = None) -> KeypointArray:
        """Detect keypoints; see `Network.detect`."""
        value, *jacobian = self._sessions[DETECT].run(None, {f"{DETECT}.{FRAMES}": to_float_array(frames)})
        if not self._layout.landmarks:
            landmarks = None
        elif landmarks is None:
            landmarks = np.full((len(frames), NUM_LANDMARKS, 2), np.nan, np.float32)
        return KeypointArray(value, jacobian[0] if jacobian else None, landmarks)

    def portrait(self, frame: Frame, landmarks: Floats | None = None) -> OnnxPortrait:
        """Prepare a cropped portrait; see `Network.portrait`."""
        return OnnxPortrait(self, frame, landmarks)

    def encode(self, source: Floats) -> list[Floats]:
        """Compute what the generator needs of a source (1, 3, S, S); empty if it needs nothing."""
        if not self._layout.features:
            return []
        features: list[Floats] = self._sessions[ENCODE].run(None, {f"{ENCODE}.{SOURCE}": source})
        return features

    def animate(self, inputs: list[Floats], outputs: list[str]) -> list[Floats]:
        """Run the animation graph.

        Args:
            inputs: the source (1, 3, S, S), its features, its points and the driving points.
            outputs: names of the outputs to compute, without prefix.
        """
        input_names, _ = self._layout.signatures[ANIMATE]
        feeds = dict(zip(prefix_names(ANIMATE, input_names), inputs, strict=True))
        results: list[Floats] = self._sessions[ANIMATE].run(prefix_names(ANIMATE, outputs), feeds)
        return results

    def enlarge(self, prediction: Floats) -> Floats:
        """Super-resolve generated frames (N, 3, S, S) in [0, 1]."""
        (enlarged,) = self._sessions[ENLARGE].run(
            prefix_names(ENLARGE, [ENLARGED]), {f"{ENLARGE}.{PREDICTION}": prediction}
        )
        return np.asarray(enlarged, np.float32)


def prefix_names(graph: str, names: list[str]) -> list[str]:
    """Return the names that inputs or outputs of a graph have in the file."""
    return [f"{graph}.{name}" for name in names]


def read_model(path: Path) -> Any:
    """Read and check a file written by `faceanim export`; return it as an ONNX model.

    Raises:
        FaceanimError: the file is missing, damaged or another model.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
        metadata = read_metadata(model)
    except FileNotFoundError:
        raise FaceanimError(f"cannot read {path}: no such file") from None
    except OSError as error:
        raise FaceanimError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except (DecodeError, UnicodeDecodeError):
        raise make_damaged_error(path) from None
    if metadata.get("format") != FORMAT:
        raise FaceanimError(
            f"cannot read {path}: not a model of faceanim; create one with `faceanim export {path.name}`"
        )
    # Checked here, because ONNX Runtime would read the files named there, anywhere on this machine.
    if any(has_external_data(message) for message in iter_messages(model)):
        raise FaceanimError(
            f"cannot read {path}: its weights are in other files, which are not read; export it again"
        )
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, UnicodeDecodeError):
        raise make_damaged_error(path) from None
    return model


def make_damaged_error(path: Path) -> FaceanimError:
    """Create the error for a file that cannot be decoded."""
    return FaceanimError(f"cannot read {path}: damaged, or not an ONNX model; export it again")


def read_metadata(model: Any) -> dict[str, str]:
    """Return the metadata of a model."""
    return {item.key: item.value for item in model.metadata_props}


def iter_messages(message: Any) -> Iterator[Any]:
    """Yield a Protobuf message and all messages nested in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from iter_messages(part)


def has_external_data(message: Any) -> bool:
    """Check whether a Protobuf message is a tensor whose values are stored in another file."""
    from onnx import TensorProto

    if not isinstance(message, TensorProto):
        return False
    return message.data_location != TensorProto.DEFAULT or len(message.external_data) > 0


def split_graphs(model: Any, layout: GraphLayout) -> Iterator[tuple[str, bytes]]:
    """Yield the name of each graph, and the graph as a separate, serialized model."""
    from onnx.utils import Extractor

    extractor = Extractor(model)
    for graph, (inputs, outputs) in layout.signatures.items():
        part = extractor.extract_model(prefix_names(graph, inputs), prefix_names(graph, outputs))
        yield graph, part.SerializeToString()


def create_session(model: bytes, providers: list[str]) -> Any:
    """Create an ONNX Runtime session on the first working provider; equal inputs give identical bytes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = LOG_SEVERITY
    options.use_deterministic_compute = True  # a GPU would otherwise sum in arbitrary order
    # Spinning threads would occupy the cores that decoding and encoding need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=providers)


def list_arrays(points: KeypointArray) -> list[Floats]:
    """Return points as a list of arrays: positions and, if present, jacobians and landmarks."""
    return [part for part in (points.value, points.jacobian, points.landmarks) if part is not None]
