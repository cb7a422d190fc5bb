"""Dense motion network (figure 2): predicts one motion per pixel, F_n, from the source and two keypoint sets.

After Siarohin et al. (2019), section 3.2: each keypoint moves its neighborhood by a translation, or by an
affine motion if it has a jacobian. A network decides for each pixel which keypoint it follows, or whether it
belongs to the static background. Where there are landmarks, it may also follow the head or the face.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from faceanim.models.grids import identity_grid, resize_grid, resize_map, warp
from faceanim.models.keypoints import Keypoints, invert_2x2
from faceanim.models.landmark_motion import (
    DRAWN_CHANNELS,
    draw_landmarks,
    find_present,
    head_motion,
    landmark_motions,
)
from faceanim.models.layers import Hourglass, single_precision

LANDMARK_MOTIONS = 3
"""Motions that landmarks add to those of the keypoints: of the head as a whole, and two of the face."""
LANDMARK_BIAS = 2.0
"""Initial logit of the motion of the face, the best of all before training; those of the others are 0."""
STILL = 0.02
"""Shift, in units of [-1, 1], from which on a pixel counts as moved: two thirds of a pixel of 64."""
OCCLUSION_BIAS = 2.0
"""Initial logit of the masks: most of the driving frame is visible in the source."""


@dataclass(frozen=True)
class Motion:
    """Motion of a batch of frames.

    Attributes:
        deformation: F_n, (B, h, w, 2), x then y in [-1, 1]: the position in the source that each pixel is
            read from.
        masks: (B, N, h, w) in [0, 1], 1 where the source shows what the driving frame shows: first M_n, then
            those of the generator's scales; None if the generator predicts M_n.
        drawing: lines through the landmarks of the source and of the driving frame, (B, C, h, w) in [0, 1];
            None without landmarks, or if the generator predicts M_n.
        by_landmarks: motions by the landmarks alone, (B, LANDMARK_MOTIONS, h, w, 2); None likewise.
        change: (B, 1, h, w) in [0, 1], 0 where nothing moves, neither by F_n nor by the landmarks alone; None
            if the generator predicts M_n.
    """

    deformation: Tensor
    masks: Tensor | None = None
    drawing: Tensor | None = None
    by_landmarks: Tensor | None = None
    change: Tensor | None = None


class DenseMotion(nn.Module):
    """Network that predicts the motion from the source to the driving frame.

    Args:
        hourglass: takes the channels that `count_inputs` returns.
        num_keypoints: number of keypoints, K.
        kp_variance: variance of the Gaussians rendered at the keypoints, in units of [-1, 1].
        uses_landmarks: whether landmarks move the face, too.
        num_masks: number of masks to predict.
        max_residual: largest motion that the network adds to those of keypoints and landmarks, in units of
            [-1, 1]; 0: none.
        field_size: side of the deformation, if it is larger than the frames that the network sees: eyes and
            lips then move exactly, while the network decides at a lower resolution; None: the same.
    """

    def __init__(
        self,
        hourglass: Hourglass,
        num_keypoints: int,
        kp_variance: float,
        uses_landmarks: bool = False,
        num_masks: int = 0,
        max_residual: float = 0.0,
        field_size: int | None = None,
    ) -> None:
        super().__init__()
        self.hourglass = hourglass
        motions = num_keypoints + 1 + LANDMARK_MOTIONS * uses_landmarks
        self.mask = nn.Conv2d(hourglass.outputs, motions, 7, padding=3)
        self.kp_variance = kp_variance
        self.uses_landmarks = uses_landmarks
        self.max_residual = max_residual
        self.field_size = field_size
        if uses_landmarks:
            with torch.no_grad():
                assert self.mask.bias is not None
                self.mask.bias[1 - LANDMARK_MOTIONS :] = LANDMARK_BIAS
        self.occlusion = nn.Conv2d(hourglass.outputs, num_masks, 7, padding=3) if num_masks else None
        if self.occlusion is not None:
            nn.init.constant_(self.occlusion.bias, OCCLUSION_BIAS)  # type: ignore[arg-type]
        self.residual = nn.Conv2d(hourglass.outputs, 2, 7, padding=3) if max_residual else None
        if self.residual is not None:
            nn.init.zeros_(self.residual.weight)
            nn.init.zeros_(self.residual.bias)  # type: ignore[arg-type]

    def forward(self, source: Tensor, kp_source: Keypoints, kp_driving: Keypoints) -> Motion:
        """Predict the motion.

        Args:
            source: (B, 3, h, w), RGB in [0, 1].
            kp_source: K keypoints of the source.
            kp_driving: K keypoints of the driving frame.
        """
        side = source.shape[-1]
        size = self.field_size or side
        # Only the layers of the network may be computed in bfloat16, not the positions of pixels.
        with single_precision(source):
            motions, by_landmarks, drawing = sparse_motions(kp_source, kp_driving, size, size), None, None
            if self.uses_landmarks:
                by_landmarks, drawing = move_by_landmarks(kp_source, kp_driving, size, size)
                motions = torch.cat((motions, by_landmarks), dim=1)
            warped = warp_by_each(source, motions)
            heatmap = heatmap_difference(kp_source, kp_driving, side, side, self.kp_variance)
            followed = heatmap.shape[1]
            inputs = torch.cat((heatmap[:, :, None], warped[:, :followed]), dim=2).flatten(1, 2)
            if drawing is not None:
                lines = resize_map(drawing, side)
                inputs = torch.cat((inputs, warped[:, followed:].flatten(1, 2), lines), dim=1)
        features = self.hourglass(inputs)
        weights = self.mask(features).float().softmax(dim=1)
        residual = None if self.residual is None else self.residual(features).float().tanh()
        with single_precision(source):
            grid = identity_grid(size, size, like=motions)
            shift = (resize_map(weights, size)[..., None] * (motions - grid)).sum(dim=1)
            if residual is not None:
                shift = shift + self._bound(resize_map(residual, size), motions - grid)
            deformation = grid + shift
        if self.occlusion is None:
            return Motion(deformation)
        masks = self.occlusion(features).float().sigmoid()
        return Motion(deformation, masks, drawing, by_landmarks, measure_change(deformation, by_landmarks))

    def _bound(self, residual: Tensor, shifts: Tensor) -> Tensor:
        """Bound the residual (B, 2, h, w), in [-1, 1], by `max_residual` and the largest shift of the pixel.

        Equal keypoints and landmarks therefore give exactly the identity.
        """
        largest = shifts.abs().amax(dim=(1, -1))[..., None].clamp(max=self.max_residual)
        return largest * residual.permute(0, 2, 3, 1)


def count_inputs(num_keypoints: int, uses_landmarks: bool) -> int:
    """Count the channels that the hourglass of a dense motion network takes."""
    return 4 * (num_keypoints + 1) + (3 * LANDMARK_MOTIONS + 2 * DRAWN_CHANNELS) * uses_landmarks


def move_by_landmarks(
    kp_source: Keypoints, kp_driving: Keypoints, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Compute the motions of the head and of the face, and draw the landmarks of both frames.

    Returns:
        The motions (B, LANDMARK_MOTIONS, height, width, 2) and the drawing (B, 2 * DRAWN_CHANNELS, height,
        width): the identity and an empty drawing unless both frames have landmarks.
    """
    assert kp_source.landmarks is not None
    assert kp_driving.landmarks is not None
    present = find_present(kp_source.landmarks, kp_driving.landmarks)[:, None, None]
    source, driving = (
        torch.where(present, landmarks, torch.zeros_like(landmarks))
        for landmarks in (kp_source.landmarks, kp_driving.landmarks)
    )
    motions = [
        head_motion(source, driving, height, width),
        *landmark_motions(source, driving, height, width),
    ]
    drawings = [draw_landmarks(points, height, width) for points in (source, driving)]
    return torch.stack(motions, dim=1), torch.cat(drawings, dim=1) * present[..., None]


def measure_change(deformation: Tensor, by_landmarks: Tensor | None) -> Tensor:
    """Measure how far each pixel moves, see `Motion.change`: (B, 1, h, w), from 0 to 1."""
    motions = deformation[:, None]
    if by_landmarks is not None:
        motions = torch.cat((motions, by_landmarks), dim=1)
    height, width = deformation.shape[1:3]
    with single_precision(deformation):
        shift = motions - identity_grid(height, width, like=deformation)
        largest = shift.square().sum(dim=-1).amax(dim=1, keepdim=True)
        return 1 - torch.exp(-largest / STILL**2)


def warp_by_each(source: Tensor, motions: Tensor) -> Tensor:
    """Warp a source (B, 3, h, w) by each of the motions (B, N, H, W, 2): (B, N, 3, h, w)."""
    batch, count = motions.shape[:2]
    height, width = source.shape[-2:]
    grids = resize_grid(motions.flatten(0, 1), height, width)
    return warp(source.repeat_interleave(count, dim=0), grids).view(batch, count, 3, height, width)


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


def heatmap_difference(
    kp_source: Keypoints, kp_driving: Keypoints, height: int, width: int, variance: float
) -> Tensor:
    """Subtract the source's Gaussians from the driving ones, background first: (B, K + 1, h, w)."""
    moved = gaussians(kp_driving, height, width, variance)
    heatmap = moved - gaussians(kp_source, height, width, variance)
    return torch.cat((torch.zeros_like(heatmap[:, :1]), heatmap), dim=1)
