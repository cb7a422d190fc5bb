"""The trained networks in torch, on the CPU or a GPU."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from faceanim.errors import FaceanimError
from faceanim.inference.animator import Animator, PreparedSource, to_arrays, to_keypoints
from faceanim.inference.backend import Device
from faceanim.inference.keypoints import AnimationLayers, KeypointArray
from faceanim.media.frames import Frame, Frames
from faceanim.media.tensors import to_float, to_uint8

CPU_BATCH = 8
GPU_BATCH = 32


class TorchPortrait:
    """See `Portrait`."""

    def __init__(self, animator: Animator, source: PreparedSource) -> None:
        self._animator = animator
        self._source = source
        self.keypoints = to_arrays(source.keypoints)

    def frames(self, driving: KeypointArray, super_resolve: bool) -> Frames:
        """See `Portrait`."""
        posed = self._animator.animate_keypoints(self._source, to_keypoints(driving, self._animator.device))
        prediction = posed.prediction.clamp(0, 1)
        return to_uint8(self._animator.enlarge(prediction) if super_resolve else prediction)

    def layers(self, driving: KeypointArray) -> AnimationLayers:
        """See `Portrait`."""
        posed = self._animator.animate_keypoints(self._source, to_keypoints(driving, self._animator.device))
        painted = (posed.prediction - posed.warped).permute(0, 2, 3, 1).contiguous()
        return AnimationLayers(posed.deformation.cpu().numpy(), painted.cpu().numpy())


class TorchNetwork:
    """See `Network`."""

    def __init__(self, animator: Animator) -> None:
        for network in (animator.animation, animator.super_resolution):
            # The layout that convolutions are fastest in, most of all in half precision.
            network.to(memory_format=torch.channels_last)
        half = choose_half_precision(animator.device)
        if half is not None:
            enable_half_precision(animator.animation.generator, half)
            enable_half_precision(animator.super_resolution, half)
        self._animator = animator
        self.device = animator.device
        self.size = animator.size
        self.output_size = animator.output_size
        self.batch = CPU_BATCH if animator.device == "cpu" else GPU_BATCH
        self.detector_id = hash_weights(animator.animation.keypoint_detector)

    @classmethod
    def load(cls, folder: Path, device: Device = "auto") -> "TorchNetwork":
        """Load a folder that holds both networks.

        Raises:
            FaceanimError: it holds none, or a GPU was asked for and torch sees none.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise FaceanimError(f"torch {torch.__version__} sees no GPU; leave out --device to take the CPU")
        return cls(Animator.load(folder, None if device == "auto" else device))

    def detect(self, frames: Frames) -> KeypointArray:
        """See `Network`."""
        with torch.inference_mode():
            return to_arrays(self._animator.detect(to_channels_last(frames)))

    def portrait(self, frame: Frame) -> TorchPortrait:
        """See `Network`."""
        return TorchPortrait(self._animator, self._animator.prepare(to_channels_last(frame[None])))


def to_channels_last(frames: Frames) -> Tensor:
    """Frames as `to_float` gives them, in the layout that the networks are in."""
    return to_float(frames).contiguous(memory_format=torch.channels_last)


def choose_half_precision(device: str) -> torch.dtype | None:
    """The half precision that the processor computes fast in, if any."""
    if device != "cpu":
        return torch.float16
    native = torch.cpu.get_capabilities()
    return torch.bfloat16 if native.get("avx512_bf16") or native.get("amx_bf16") else None


def enable_half_precision(network: nn.Module, dtype: torch.dtype) -> None:
    """Have a network compute in half precision from now on, and give single precision.

    For those that paint, which then err less than writing in eight bits does. Whatever moves pixels stays in
    single precision: a keypoint, or a share of one's motion, that is rounded shakes from frame to frame.
    """
    whole = network.forward

    def forward(*given: Tensor) -> Any:
        with torch.autocast(given[0].device.type, dtype):
            made = whole(*given)
        return tuple(part.float() for part in made) if isinstance(made, tuple) else made.float()

    network.forward = forward


def hash_weights(module: torch.nn.Module) -> str:
    """SHA-256 of a module's weights, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
