"""Both networks in torch, on the CPU or a GPU."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from faceanim.errors import FaceanimError
from faceanim.inference.animator import Animator, PreparedSource, to_arrays, to_keypoints
from faceanim.inference.backend import Device, make_detector_id
from faceanim.inference.keypoints import AnimationLayers, Floats, KeypointArray
from faceanim.media.frames import Frame, Frames
from faceanim.media.tensors import to_channels_last, to_uint8

CPU_BATCH = 8
GPU_BATCH = 32


class TorchPortrait:
    """A portrait prepared for torch; implements `Portrait`."""

    def __init__(self, animator: Animator, source: PreparedSource) -> None:
        self._animator = animator
        self._source = source
        self.keypoints = to_arrays(source.keypoints)

    def frames(self, driving: KeypointArray, super_resolve: bool) -> Frames:
        """Animate the portrait; see `Portrait.frames`."""
        animation = self._animator.animate_keypoints(
            self._source, to_keypoints(driving, self._animator.device)
        )
        prediction = animation.prediction.clamp(0, 1)
        return to_uint8(self._animator.enlarge(prediction) if super_resolve else prediction)

    def layers(self, driving: KeypointArray) -> AnimationLayers:
        """Compute the layers; see `Portrait.layers`."""
        animation = self._animator.animate_keypoints(
            self._source, to_keypoints(driving, self._animator.device)
        )
        residual = (animation.prediction - animation.warped).permute(0, 2, 3, 1).contiguous()
        return AnimationLayers(animation.deformation.cpu().numpy(), residual.cpu().numpy())


class TorchNetwork:
    """Both networks in torch; implements `Network`."""

    def __init__(self, animator: Animator) -> None:
        for network in (animator.animation, animator.super_resolution):
            # The layout in which convolutions are fastest, above all in half precision.
            network.to(memory_format=torch.channels_last)
        half = choose_half_precision(animator.device)
        if half is not None:
            generator, enlarger = animator.animation.generator, animator.super_resolution
            generator.forward = compute_in_half_precision(generator.forward, half)  # type: ignore[method-assign]
            generator.encode = compute_in_half_precision(generator.encode, half)  # type: ignore[method-assign]
            enlarger.forward = compute_in_half_precision(enlarger.forward, half)  # type: ignore[method-assign]
        self._animator = animator
        self.device = animator.device
        self.size = animator.size
        self.output_size = animator.output_size
        self.batch = CPU_BATCH if animator.device == "cpu" else GPU_BATCH
        self.landmark_detector = animator.landmark_detector
        self.detector_id = identify_detectors(animator)

    @classmethod
    def load(cls, folder: Path, device: Device = "auto") -> "TorchNetwork":
        """Load a folder that holds both networks.

        Raises:
            FaceanimError: the folder does not hold both, or a GPU was requested and torch detects none.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise FaceanimError(
                f"cannot use the GPU: torch {torch.__version__} detects none; omit --device to use the CPU"
            )
        return cls(Animator.load(folder, None if device == "auto" else device))

    def detect(self, frames: Frames, landmarks: Floats | None = None) -> KeypointArray:
        """Detect keypoints; see `Network.detect`."""
        with torch.inference_mode():
            return to_arrays(self._animator.detect(to_channels_last(frames), to_tensor(landmarks)))

    def portrait(self, frame: Frame, landmarks: Floats | None = None) -> TorchPortrait:
        """Prepare a cropped portrait; see `Network.portrait`."""
        source = self._animator.prepare(to_channels_last(frame[None]), landmarks=to_tensor(landmarks))
        return TorchPortrait(self._animator, source)


def to_tensor(landmarks: Floats | None) -> Tensor | None:
    """Convert landmarks to a tensor."""
    return None if landmarks is None else torch.from_numpy(landmarks)


def choose_half_precision(device: str) -> torch.dtype | None:
    """Return the half-precision type that the device computes fast in; None if there is no such type."""
    if device != "cpu":
        return torch.float16
    native = torch.cpu.get_capabilities()
    return torch.bfloat16 if native.get("avx512_bf16") or native.get("amx_bf16") else None


def compute_in_half_precision(compute: Callable[..., Any], dtype: torch.dtype) -> Callable[..., Any]:
    """Wrap a function of a network, which then computes in half precision, and returns single precision.

    Suitable for networks that paint: the error is then smaller than that of rounding to eight bits. Networks
    that move pixels stay in single precision: a rounded keypoint, or a rounded weight of its motion, causes
    jitter from frame to frame. Features that are warped are returned in single precision for that reason:
    the positions that they are read from have their precision.

    Args:
        compute: function whose first argument is a tensor, and which returns a tensor or a tuple of tensors.
        dtype: type of half precision.
    """

    def wrapped(first: Tensor, *others: Any) -> Any:
        with torch.autocast(first.device.type, dtype):
            outputs = compute(first, *others)
        return tuple(part.float() for part in outputs) if isinstance(outputs, tuple) else outputs.float()

    return wrapped


def identify_detectors(animator: Animator) -> str:
    """Return the `Network.detector_id` of a model."""
    return make_detector_id(hash_weights(animator.animation.keypoint_detector), animator.landmark_detector)


def hash_weights(module: torch.nn.Module) -> str:
    """Compute the SHA-256 of a module's weights in order of their names, as hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
