"""Keypoint detector (figure 2): U-Net with a ResNet encoder, spatial softmax and soft-argmax."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from kornia.geometry.subpix import spatial_expectation2d, spatial_softmax2d
from torch import Tensor, nn

from faceanim.errors import FaceanimError
from faceanim.models.layers import Hourglass
from faceanim.models.pretrained import first_line, load_state

PLAIN_BLOCKS = 2
"""Residual blocks at the smallest level of the plain encoder."""


@dataclass(frozen=True)
class Keypoints:
    """Keypoints of a batch of frames (I_LM, Dr_lm), and the landmarks that move the face beside them.

    Attributes:
        value: positions, (B, K, 2), x then y in [-1, 1], the centers of the outermost pixels.
        jacobian: local affine motions, (B, K, 2, 2); None: the motions are translations.
        landmarks: iBUG's 68 landmarks, (B, 68, 2), in the same units; NaN in frames without a face. None: the
            model has no use for any.
    """

    value: Tensor
    jacobian: Tensor | None = None
    landmarks: Tensor | None = None

    def split(self, sizes: Sequence[int]) -> tuple["Keypoints", ...]:
        """Split the batch into parts of these sizes."""
        values = torch.split(self.value, list(sizes))
        jacobians, landmarks = (
            [None] * len(sizes) if part is None else torch.split(part, list(sizes))
            for part in (self.jacobian, self.landmarks)
        )
        return tuple(Keypoints(*parts) for parts in zip(values, jacobians, landmarks, strict=True))

    def expand(self, count: int) -> "Keypoints":
        """Expand the keypoints of a single frame to a batch of `count` frames."""
        jacobian, landmarks = (
            None if part is None else part.expand(count, *part.shape[1:])
            for part in (self.jacobian, self.landmarks)
        )
        return Keypoints(self.value.expand(count, -1, -1), jacobian, landmarks)


def invert_2x2(matrix: Tensor) -> Tensor:
    """Invert 2x2 matrices (..., 2, 2), using only operations that ONNX supports."""
    (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
    adjugate = torch.stack((torch.stack((d, -b), dim=-1), torch.stack((-c, a), dim=-1)), dim=-2)
    return adjugate / (a * d - b * c)[..., None, None]


class KeypointDetector(nn.Module):
    """Network that detects K keypoints, each the center of mass of a heatmap.

    Args:
        unet: maps (B, 3, h, w) to (B, K, h, w), unnormalized, or to (B, 5 * K, h, w) with jacobians.
        num_keypoints: number of keypoints, K.
        temperature: temperature of the softmax; smaller is sharper.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, unet: nn.Module, num_keypoints: int, temperature: float) -> None:
        super().__init__()
        self.unet = unet
        self.num_keypoints = num_keypoints
        self.temperature = temperature
        # Statistics of ImageNet, which pretrained encoders expect.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Keypoints:
        """Detect the keypoints of frames (B, 3, h, w), RGB in [0, 1], h and w multiples of 32."""
        # Under autocast the output is bfloat16, which distinguishes only 128 positions per side.
        maps = self.unet((image - self.mean) / self.std).to(image.dtype)
        logits, affine = maps[:, : self.num_keypoints], maps[:, self.num_keypoints :]
        heatmap = spatial_softmax2d(logits.contiguous(), temperature=self.temperature)
        jacobian = local_jacobian(heatmap, affine) if affine.shape[1] else None
        return Keypoints(soft_argmax(heatmap), jacobian)


def soft_argmax(heatmap: Tensor) -> Tensor:
    """Compute the mean position under heatmaps (B, K, h, w), which sum to 1: (B, K, 2) in [-1, 1]."""
    position: Tensor = spatial_expectation2d(heatmap, normalized_coordinates=True)
    return position


def local_jacobian(heatmap: Tensor, affine: Tensor) -> Tensor:
    """Compute the affine motion near each keypoint, I plus a map's mean (Siarohin et al., 2019, section 3.1).

    Args:
        heatmap: weights of the mean, (B, K, h, w), which sum to 1 over space.
        affine: difference of the motion at each pixel from the identity, (B, 4 * K, h, w).

    Returns:
        (B, K, 2, 2).
    """
    batch, count, height, width = heatmap.shape
    maps = affine.view(batch, count, 2, 2, height, width)
    mean = (heatmap[:, :, None, None] * maps).sum(dim=(-2, -1))
    return mean + torch.eye(2, device=mean.device)


def build_keypoint_unet(encoder: str, decoder_channels: Sequence[int], maps: int) -> nn.Module:
    """Build the detector's U-Net with random weights; see `load_encoder_weights` for those of ImageNet.

    Args:
        encoder: name of a ResNet, or `plain`, an encoder with the channels of the decoder.
        decoder_channels: channels of the decoder's levels, from the smallest resolution up.
        maps: output channels, at full size.
    """
    if encoder == "plain":
        hourglass = Hourglass(3, decoder_channels[::-1], PLAIN_BLOCKS)
        return nn.Sequential(hourglass, nn.Conv2d(hourglass.outputs, maps, 1))
    import segmentation_models_pytorch as smp  # takes two seconds, which the plain encoder saves

    unet: nn.Module = smp.Unet(
        encoder_name=encoder,
        encoder_weights=None,
        decoder_channels=tuple(decoder_channels),
        classes=maps,
    )
    return unet


def load_encoder_weights(detector: KeypointDetector, path: Path) -> None:
    """Load torchvision's ImageNet weights into the detector's encoder.

    Args:
        detector: detector whose encoder is changed in place.
        path: torchvision's state dictionary of the same ResNet; its classifier (`fc`) is dropped.

    Raises:
        FaceanimError: the file cannot be read or holds another network.
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
