"""Generator (figure 2): refines the warped source where it is right, and paints what the source hides.

It follows the dense motion network (section 3.1). Its image R_n and occlusion map M_n are combined with the
warped source E_n (eq. 1) into the prediction (eq. 2): I_t^n = M_n * E_n + (1 - M_n) * R_n. Models that go
beyond the paper have a `Painter` in its place.
"""

import torch
from torch import Tensor, nn

from faceanim.models.dense_motion import Motion
from faceanim.models.layers import Hourglass
from faceanim.models.painter import Features


class Generator(nn.Module):
    """Network that predicts R_n and the occlusion map M_n from the warped source and the deformation.

    R_n is predicted as a residual on the warped source, so that visible content need not be painted again.

    Args:
        hourglass: takes 5 channels, E_n and F_n concatenated.
    """

    num_masks = 0
    """Number of masks that it takes from the dense motion network: none, since it predicts M_n."""

    def __init__(self, hourglass: Hourglass) -> None:
        super().__init__()
        self.hourglass = hourglass
        self.last = nn.Conv2d(hourglass.outputs, 4, 7, padding=3)
        # With zeros, training starts at the copy-the-source baseline instead of 12 dB below it.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def encode(self, source: Tensor) -> Features:
        """Return no features: this generator sees the source only as the motion warps it."""
        return ()

    def forward(
        self, warped: Tensor, deformation: Tensor, motion: Motion, features: Features
    ) -> tuple[Tensor, Tensor]:
        """Predict the image and the occlusion map.

        Args:
            warped: E_n, (B, 3, H, W) in [0, 1], sides multiples of 2 ** downs.
            deformation: F_n, (B, H, W, 2) in [-1, 1].
            motion: not used.
            features: not used.

        Returns:
            R_n, (B, 3, H, W), about [0, 1] but not clamped, and M_n, (B, 1, H, W) in [0, 1], 1 where the
            warped source is shown.
        """
        out = self.last(self.hourglass(torch.cat((warped, deformation.permute(0, 3, 1, 2)), dim=1)))
        return warped + out[:, :3], out[:, 3:].sigmoid()
