"""Both networks in ONNX Runtime, on the CPU or a GPU; torch is not needed."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceanim.animating.detail import Changes
from faceanim.animating.network import Device
from faceanim.animating.onnx_format import (
    ANIMATE,
    DEFORMATION,
    DETECT,
    ENLARGE,
    ENLARGED,
    FORMAT,
    FRAMES,
    PAINTED,
    PREDICTION,
    SOURCE,
    keypoint_names,
    named,
)
from faceanim.animating.points import Floats, Points
from faceanim.data.pictures import Frame, Frames
from faceanim.errors import FaceanimError

BATCH = 8
GPU = "CUDAExecutionProvider"


class OnnxPortrait:
    """See `Portrait`."""

    def __init__(self, network: "OnnxNetwork", frame: Frame) -> None:
        self._network = network
        self._source = to_floats(frame[None])
        self.keypoints = network.detect(frame[None])

    def frames(self, driving: Points, super_resolve: bool) -> Frames:
        """See `Portrait`."""
        (prediction,) = self._run([PREDICTION], driving)
        return to_bytes(self._network.enlarge(prediction) if super_resolve else prediction)

    def changes(self, driving: Points) -> Changes:
        """See `Portrait`."""
        deformation, painted = self._run([DEFORMATION, PAINTED], driving)
        return Changes(deformation, np.ascontiguousarray(painted.transpose(0, 2, 3, 1)))

    def _run(self, outputs: list[str], driving: Points) -> list[Floats]:
        given = [self._source, *arrays(self.keypoints), *arrays(driving)]
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
            import onnx
            import onnxruntime
        except ImportError:
            raise FaceanimError("an ONNX model needs the extra: pip install 'faceanim[onnx]'") from None
        has_gpu = GPU in onnxruntime.get_available_providers()
        if device == "cuda" and not has_gpu:
            raise FaceanimError("this ONNX Runtime has no GPU; onnxruntime-gpu has, or leave out --device")
        on_gpu = has_gpu and device != "cpu"
        model = read_model(path)
        about = {item.key: item.value for item in model.metadata_props}
        extractor = onnx.utils.Extractor(model)
        sessions = {}
        for graph in (DETECT, ANIMATE, ENLARGE):
            inputs, outputs = (
                [item.name for item in items if item.name.startswith(f"{graph}.")]
                for items in (model.graph.input, model.graph.output)
            )
            part = extractor.extract_model(inputs, outputs).SerializeToString()
            providers = [GPU, "CPUExecutionProvider"] if on_gpu else ["CPUExecutionProvider"]
            sessions[graph] = onnxruntime.InferenceSession(part, providers=providers)
        return cls(sessions, about, "cuda" if on_gpu else "cpu")

    def detect(self, frames: Frames) -> Points:
        """See `Network`."""
        found = self._sessions[DETECT].run(None, {f"{DETECT}.{FRAMES}": to_floats(frames)})
        return Points(*found)

    def portrait(self, frame: Frame) -> OnnxPortrait:
        """See `Network`."""
        return OnnxPortrait(self, frame)

    def animate(self, given: list[Floats], outputs: list[str]) -> list[Floats]:
        """Run the animation: source (1, 3, S, S), its keypoints and the driving ones to the outputs named."""
        jacobians = len(given) > 3
        names = [SOURCE, *keypoint_names(SOURCE, jacobians), *keypoint_names("driving", jacobians)]
        feeds = dict(zip(named(ANIMATE, names), given, strict=True))
        made: list[Floats] = self._sessions[ANIMATE].run(named(ANIMATE, outputs), feeds)
        return made

    def enlarge(self, prediction: Floats) -> Floats:
        """Super-resolve generated frames (N, 3, S, S) in [0, 1]."""
        (enlarged,) = self._sessions[ENLARGE].run(
            named(ENLARGE, [ENLARGED]), {f"{ENLARGE}.{PREDICTION}": prediction}
        )
        return np.asarray(enlarged, np.float32)


def read_model(path: Path) -> Any:
    """A file that `faceanim export` wrote, as ONNX has it.

    Raises:
        FaceanimError: there is none, or it is another or a damaged one.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        # What lies in other files is not looked for: it may be named by whoever made this one.
        model = onnx.load(path, load_external_data=False)
        about = {item.key: item.value for item in model.metadata_props}
        if about.get("format") != FORMAT:
            raise FaceanimError(f"{path} is no model of ours; `faceanim export {path.name}` makes one")
        onnx.checker.check_model(model)
    except FileNotFoundError:
        raise FaceanimError(f"there is no file {path}") from None
    except (DecodeError, onnx.checker.ValidationError, OSError):
        raise FaceanimError(f"{path} is damaged, or no ONNX model; export it again") from None
    return model


def arrays(points: Points) -> list[Floats]:
    """Keypoints as the one or two arrays that they are."""
    return [points.value] if points.jacobian is None else [points.value, points.jacobian]


def to_floats(frames: Frames) -> Floats:
    """Frames (N, H, W, 3) in [0, 255] as (N, 3, H, W) float32 in [0, 1]; as `inference.to_float`."""
    return np.ascontiguousarray(frames.transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def to_bytes(frames: Floats) -> NDArray[np.uint8]:
    """Frames (N, 3, H, W) in [0, 1] as (N, H, W, 3) in [0, 255]; as `inference.to_uint8`."""
    scaled = np.rint(frames * np.float32(255)).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(scaled.transpose(0, 2, 3, 1))
