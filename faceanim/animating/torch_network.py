"""The trained networks in torch, on the CPU or a GPU."""

import hashlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from faceanim.animating.detail import Changes
from faceanim.animating.network import Device
from faceanim.animating.points import Points
from faceanim.data.pictures import Frame, Frames
from faceanim.errors import FaceanimError
from faceanim.inference import Animator, Source, to_float, to_uint8
from faceanim.models.keypoints import Keypoints

CPU_BATCH = 8
GPU_BATCH = 32


class TorchPortrait:
    """See `Portrait`."""

    def __init__(self, animator: Animator, source: Source) -> None:
        self._animator = animator
        self._source = source
        self.keypoints = to_points(source.keypoints)

    def frames(self, driving: Points, super_resolve: bool) -> Frames:
        """See `Portrait`."""
        with precision(self._animator.device):
            posed = self._animator.posed(self._source, to_keypoints(driving, self._animator.device))
            prediction = posed.prediction.clamp(0, 1)
            made = self._animator.enlarge(prediction) if super_resolve else prediction
        return to_uint8(made.float())

    def changes(self, driving: Points) -> Changes:
        """See `Portrait`."""
        with precision(self._animator.device):
            posed = self._animator.posed(self._source, to_keypoints(driving, self._animator.device))
        painted = (posed.prediction - posed.warped).permute(0, 2, 3, 1).contiguous()
        return Changes(posed.deformation.float().cpu().numpy(), painted.float().cpu().numpy())


class TorchNetwork:
    """See `Network`."""

    def __init__(self, animator: Animator) -> None:
        self._animator = animator
        self.device = animator.device
        self.size = animator.size
        self.output_size = animator.output_size
        self.batch = CPU_BATCH if animator.device == "cpu" else GPU_BATCH
        self.detector_id = fingerprint(animator.animation.keypoint_detector)

    @classmethod
    def load(cls, folder: Path, device: Device = "auto") -> "TorchNetwork":
        """Load a folder that holds both networks.

        Raises:
            FaceanimError: it holds none, or a GPU was asked for and torch sees none.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise FaceanimError(f"torch {torch.__version__} sees no GPU; leave out --device to take the CPU")
        return cls(Animator.load(folder, None if device == "auto" else device))

    def detect(self, frames: Frames) -> Points:
        """See `Network`."""
        with torch.inference_mode(), precision(self._animator.device):
            return to_points(self._animator.detect(to_float(frames)))

    def portrait(self, frame: Frame) -> TorchPortrait:
        """See `Network`."""
        return TorchPortrait(self._animator, self._animator.prepare(to_float(frame[None])))


def precision(device: str) -> Any:
    """Half precision where it is fast: its error is far below the 1/255 of what is written."""
    return nullcontext() if device == "cpu" else torch.autocast(device, torch.float16)


def to_points(keypoints: Keypoints) -> Points:
    """Keypoints as arrays."""
    jacobian = keypoints.jacobian
    return Points(
        keypoints.value.float().cpu().numpy(), None if jacobian is None else jacobian.float().cpu().numpy()
    )


def to_keypoints(points: Points, device: str) -> Keypoints:
    """Arrays as keypoints."""
    jacobian = None if points.jacobian is None else torch.from_numpy(points.jacobian).to(device)
    return Keypoints(torch.from_numpy(points.value).to(device), jacobian)


def fingerprint(module: torch.nn.Module) -> str:
    """SHA-256 of a module's weights, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
