"""Perceptual loss, eq. 3: distance of VGG-19 features, on one scale or on several."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers  # type: ignore[import-untyped]

from faceanim.errors import FaceanimError
from faceanim.models.grids import pyramid
from faceanim.models.pretrained import first_line, load_state

LAYERS = (1, 6, 11, 20, 29)
"""relu1_1, relu2_1, relu3_1, relu4_1, relu5_1 in VGG-19's `features`: the K_j (Johnson et al., 2016)."""


class PerceptualLoss(nn.Module):
    """L_p: the sum over layers of the mean absolute difference of features; frozen.

    Args:
        features: VGG-19's convolutional part, up to the last layer used.
        scales: images of the pyramid over which it is summed, each half the side of the one before; 1: as in
            the paper, 4: as Siarohin et al. (2019).
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
        """Compare two batches, (B, 3, H, W) in [0, 1], H and W at least 8 * 2 ** scales: a scalar."""
        losses = []
        for made, wanted in zip(pyramid(prediction, self.scales), pyramid(driving, self.scales), strict=True):
            with torch.no_grad():
                targets = self._layers(wanted)
            losses += [F.l1_loss(a, b) for a, b in zip(self._layers(made), targets, strict=True)]
        return torch.stack(losses).sum()

    def _layers(self, image: Tensor) -> list[Tensor]:
        features, kept = (image - self.mean) / self.std, []
        for index, layer in enumerate(self.features):
            features = layer(features)
            if index in LAYERS:
                kept.append(features)
        return kept


def load_perceptual(path: Path, scales: int) -> PerceptualLoss:
    """Build the loss from torchvision's VGG-19 state dictionary, without its classifier.

    Args:
        path: the dictionary's file.
        scales: see `PerceptualLoss`.

    Raises:
        FaceanimError: the file can't be read or holds another network.
    """
    weights = {
        name.removeprefix("features."): tensor
        for name, tensor in load_state(path).items()
        if name.startswith("features.")
    }
    features = make_layers(cfgs["E"])
    for layer in features:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # the kept features must outlive the next layer
    try:
        features.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise FaceanimError(f"{path} does not hold VGG-19's weights: {first_line(error)}") from None
    return PerceptualLoss(features[: LAYERS[-1] + 1], scales)
