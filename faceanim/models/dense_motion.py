"""Dense motion network (figure 2): predicts one motion per pixel, F_n, from the source and two keypoint sets.

After Siarohin et al. (2019), section 3.2: each keypoint moves its neighborhood by a translation, or by an
affine motion if it has a jacobian. A network decides for each pixel which keypoint it follows, or whether it
belongs to the static background.
"""

import torch
from torch import Tensor, nn

from faceanim.models.grids import identity_grid, warp
from faceanim.models.keypoints import Keypoints, invert_2x2
from faceanim.models.layers import Hourglass


class DenseMotion(nn.Module):
    """Network that predicts the deformation of the source to the pose of the driving frame.

    Args:
        hourglass: takes 4 * (K + 1) channels: a heatmap and a warped source for each motion.
        num_keypoints: number of keypoints, K.
        kp_variance: variance of the Gaussians rendered at the keypoints, in units of [-1, 1].
    """

    def __init__(self, hourglass: Hourglass, num_keypoints: int, kp_variance: float) -> None:
        super().__init__()
        self.hourglass = hourglass
        self.mask = nn.Conv2d(hourglass.outputs, num_keypoints + 1, 7, padding=3)
        self.kp_variance = kp_variance

    def forward(self, source: Tensor, kp_source: Keypoints, kp_driving: Keypoints) -> Tensor:
        """Predict the deformation.

        Args:
            source: (B, 3, h, w), RGB in [0, 1].
            kp_source: K keypoints of the source.
            kp_driving: K keypoints of the driving frame.

        Returns:
            F_n, (B, h, w, 2), x then y in [-1, 1]: the position in the source that each pixel is read from.
        """
        batch, _, height, width = source.shape
        motions = sparse_motions(kp_source, kp_driving, height, width)
        count = motions.shape[1]
        sources = source.repeat_interleave(count, dim=0)
        warped = warp(sources, motions.flatten(0, 1)).view(batch, count, 3, height, width)
        moved = gaussians(kp_driving, height, width, self.kp_variance)
        heatmap = moved - gaussians(kp_source, height, width, self.kp_variance)
        heatmap = torch.cat((torch.zeros_like(heatmap[:, :1]), heatmap), dim=1)
        features = self.hourglass(torch.cat((heatmap[:, :, None], warped), dim=2).flatten(1, 2))
        mask = self.mask(features).softmax(dim=1)
        deformation: Tensor = (mask[..., None] * motions).sum(dim=1)
        return deformation


def sparse_motions(kp_source: Keypoints, kp_driving: Keypoints, height: int, width: int) -> Tensor:
    """Compute the motion of each keypoint, the static background first: (B, K + 1, height, width, 2)."""
    grid = identity_grid(height, width, like=kp_source.value)
    from_keypoint = grid - kp_driving.value[:, :, None, None, :]
    if kp_source.jacobian is not None and kp_driving.jacobian is not None:
        # Siarohin et al., eq. 4: J_source J_driving^-1 (z - driving) + source.
        affine = kp_source.jacobian @ invert_2x2(kp_driving.jacobian)
        from_keypoint = from_keypoint @ affine.transpose(-1, -2)[:, :, None]
    motions = from_keypoint + kp_source.value[:, :, None, None, :]
    return torch.cat((grid.expand(motions.shape[0], 1, -1, -1, -1), motions), dim=1)


def gaussians(keypoints: Keypoints, height: int, width: int, variance: float) -> Tensor:
    """Render a Gaussian of height 1 at each keypoint: (B, K, height, width)."""
    grid = identity_grid(height, width, like=keypoints.value)
    distance = (grid - keypoints.value[:, :, None, None, :]).square().sum(dim=-1)
    return torch.exp(-0.5 * distance / variance)
