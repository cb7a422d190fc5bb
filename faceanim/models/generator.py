"""Generator (figure 2): refines the warped source where it is right, and paints what it hides."""

import torch
from torch import Tensor, nn

from faceanim.models.layers import Hourglass


class Generator(nn.Module):
    """From the warped source and the deformation to R_n and the occlusion map M_n.

    R_n is what the network adds to the warped source, so that what is seen need not be painted again.

    Args:
        hourglass: takes 5 channels: E_n and F_n.
    """

    def __init__(self, hourglass: Hourglass) -> None:
        super().__init__()
        self.hourglass = hourglass
        self.last = nn.Conv2d(hourglass.outputs, 4, 7, padding=3)
        # Training starts at the copy-the-source baseline instead of 12 dB below it.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, warped: Tensor, deformation: Tensor) -> tuple[Tensor, Tensor]:
        """Generate.

        Args:
            warped: E_n, (B, 3, H, W) in [0, 1], sides multiples of 2 ** downs.
            deformation: F_n, (B, H, W, 2) in [-1, 1].

        Returns:
            R_n (B, 3, H, W), about [0, 1] but not clamped, and M_n (B, 1, H, W) in [0, 1].
        """
        features = self.hourglass(torch.cat((warped, deformation.permute(0, 3, 1, 2)), dim=1))
        out = self.last(features)
        return warped + out[:, :3], out[:, 3:].sigmoid()
