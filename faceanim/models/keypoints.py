"""Keypoint detector (figure 2): a U-Net with a ResNet encoder, softmax over space, soft-argmax."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import torch
from kornia.geometry.subpix import spatial_expectation2d, spatial_softmax2d
from torch import Tensor, nn

from faceanim.errors import FaceanimError
from faceanim.models.pretrained import first_line, load_state


@dataclass(frozen=True)
class Keypoints:
    """Keypoints of a batch of frames (I_LM, Dr_lm).

    Attributes:
        value: (B, K, 2), x then y in [-1, 1], the ends being the centres of the outermost pixels.
        jacobian: (B, K, 2, 2), the local affine motion, or None: the motion is a translation.
    """

    value: Tensor
    jacobian: Tensor | None = None

    def split(self, sizes: Sequence[int]) -> tuple["Keypoints", ...]:
        """Cut the batch into parts of these sizes."""
        values = torch.split(self.value, list(sizes))
        jacobians = [None] * len(sizes) if self.jacobian is None else torch.split(self.jacobian, list(sizes))
        return tuple(Keypoints(v, j) for v, j in zip(values, jacobians, strict=True))


class KeypointDetector(nn.Module):
    """Finds K keypoints, each the centre of mass of its own heatmap.

    Args:
        unet: (B, 3, h, w) to (B, K, h, w), unnormalised.
        temperature: of the softmax; smaller is sharper.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, unet: nn.Module, temperature: float) -> None:
        super().__init__()
        self.unet = unet
        self.temperature = temperature
        # ImageNet's statistics, which pretrained encoders expect.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Keypoints:
        """Find the keypoints of frames (B, 3, h, w), RGB in [0, 1], h and w multiples of 32."""
        # Under autocast the network's output is bfloat16, which tells 128 positions a side apart.
        logits = self.unet((image - self.mean) / self.std).to(image.dtype)
        heatmap = spatial_softmax2d(logits, temperature=self.temperature)
        return Keypoints(soft_argmax(heatmap))


def soft_argmax(heatmap: Tensor) -> Tensor:
    """Expected position under each heatmap (B, K, h, w), which sums to 1 over space: (B, K, 2) in [-1, 1]."""
    position: Tensor = spatial_expectation2d(heatmap, normalized_coordinates=True)
    return position


def keypoint_unet(encoder: str, decoder_channels: Sequence[int], keypoints: int) -> nn.Module:
    """The detector's U-Net with random weights; see `load_encoder_weights` for ImageNet's."""
    unet: nn.Module = smp.Unet(
        encoder_name=encoder,
        encoder_weights=None,
        decoder_channels=tuple(decoder_channels),
        classes=keypoints,
    )
    return unet


def load_encoder_weights(detector: KeypointDetector, path: Path) -> None:
    """Load torchvision's ImageNet weights into the detector's encoder.

    Args:
        detector: its encoder is changed in place.
        path: torchvision's state dictionary of the same ResNet; its classifier (`fc`) is dropped.

    Raises:
        FaceanimError: the file is not readable or holds another network.
    """
    weights = load_state(path)
    features = {name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}
    encoder: Any = detector.unet.encoder
    try:
        encoder.load_state_dict(features, strict=True)
    except (RuntimeError, KeyError) as error:
        raise FaceanimError(
            f"{path} does not hold the weights of this encoder: {first_line(error)}"
        ) from None
