"""LPIPS (Zhang et al., 2018): torchmetrics' network, with AlexNet from the pinned address."""

from pathlib import Path

import torch
from torch import Tensor
from torchmetrics.functional.image.lpips import _LPIPS

from faceanim.errors import FaceanimError
from faceanim.models.pretrained import first_line, load_state

WEIGHTS = "alexnet"
"""Its name among the published weights."""


class Lpips:
    """Distance of AlexNet's features between frames; the layers' weights come with torchmetrics.

    Its public function fetches AlexNet by itself from wherever torchvision says, so its network is used.

    Args:
        path: torchvision's AlexNet, as published.

    Raises:
        FaceanimError: the file can't be read or holds another network.
    """

    def __init__(self, path: Path) -> None:
        self._network = _LPIPS(net="alex", pnet_rand=True)
        weights = load_state(path)
        own = self._network.net.state_dict()
        # slice2.3.weight there is features.3.weight in torchvision's.
        wanted = {name: f"features.{name.split('.', 1)[1]}" for name in own}
        try:
            self._network.net.load_state_dict({name: weights[there] for name, there in wanted.items()})
        except (KeyError, RuntimeError) as error:
            raise FaceanimError(f"{path} does not hold AlexNet's weights: {first_line(error)}") from None

    @torch.inference_mode()
    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compare frames (B, 3, H, W) in [0, 1], H and W at least 35: (B,), 0 for the same."""
        self._network.to(prediction.device)
        distance: Tensor = self._network(prediction, target, normalize=True)
        return distance.reshape(-1)
