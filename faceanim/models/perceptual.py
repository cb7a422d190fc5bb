"""Perceptual loss (eq. 3): distance of VGG-19 features, at one scale or several."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers  # type: ignore[import-untyped]

from faceanim.errors import FaceanimError
from faceanim.models.grids import pyramid
from faceanim.models.pretrained import first_line, load_state

LAYERS = (1, 6, 11, 20, 29)
"""Indices of relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 in VGG-19's `features`: the K_j of eq. 3 (Johnson
et al., 2016)."""


class PerceptualLoss(nn.Module):
    """L_p: mean absolute difference of features, summed over layers; the network is frozen.

    Args:
        features: convolutional part of VGG-19, up to the last layer used.
        scales: levels of the image pyramid over which the loss is summed, each half the side of the previous;
            the paper has 1, Siarohin et al. (2019) have 4.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, features: nn.Sequential, scales: int) -> None:
        super().__init__()
        self.features = features.eval().requires_grad_(False)
        self.scales = scales
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)

    def forward(self, prediction: Tensor, driving: Tensor) -> Tensor:
        """Compare two batches (B, 3, H, W) in [0, 1], H and W at least 8 * 2 ** scales; returns a scalar."""
        losses = []
        for image, target in zip(
            pyramid(prediction, self.scales), pyramid(driving, self.scales), strict=True
        ):
            with torch.no_grad():
                targets = self._extract(target)
            losses += [F.l1_loss(a, b) for a, b in zip(self._extract(image), targets, strict=True)]
        return torch.stack(losses).sum()

    def _extract(self, image: Tensor) -> list[Tensor]:
        features, outputs = (image - self.mean) / self.std, []
        for index, layer in enumerate(self.features):
            features = layer(features)
            if index in LAYERS:
                outputs.append(features)
        return outputs


def load_perceptual(path: Path, scales: int) -> PerceptualLoss:
    """Build the loss from torchvision's VGG-19 state dictionary, without its classifier.

    Args:
        path: file of the state dictionary.
        scales: see `PerceptualLoss`.

    Raises:
        FaceanimError: the file cannot be read or holds another network.
    """
    weights = {
        name.removeprefix("features."): tensor
        for name, tensor in load_state(path).items()
        if name.startswith("features.")
    }
    features = make_layers(cfgs["E"])
    for layer in features:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # the next layer must not overwrite the features that are returned
    try:
        features.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise FaceanimError(f"{path} does not hold VGG-19's weights: {first_line(error)}") from None
    return PerceptualLoss(features[: LAYERS[-1] + 1], scales)
