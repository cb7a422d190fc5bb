"""Losses of section 3 (eq. 4-6) and of later work; eq. 3 is in `faceanim.models.perceptual`."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from kornia.geometry.transform import get_tps_transform, warp_image_tps, warp_points_tps
from torch import Tensor, nn

from faceanim.config import LossWeights
from faceanim.datasets.animation import PairBatch
from faceanim.models.animation import AnimationModel
from faceanim.models.grids import pyramid
from faceanim.models.keypoints import Keypoints

PYRAMID_LEVELS = 4


class AnimationObjective(nn.Module):
    """Terms of eq. 6 that need no discriminator, in one module, so that DDP sees a single forward pass.

    Args:
        model: networks to train.
        perceptual: eq. 3; None if its weight is 0.
        weights: weights of the terms; those with weight 0 are not computed.
    """

    def __init__(self, model: AnimationModel, perceptual: nn.Module | None, weights: LossWeights) -> None:
        super().__init__()
        self.model = model
        self.perceptual = perceptual
        self.weights = weights

    def forward(self, batch: PairBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Animate the source and compare the prediction with the driving frame.

        Returns:
            The prediction (B, 3, H, W) and the unweighted losses by their names in the configuration.
        """
        driving = batch.driving
        animation = self.model(batch.source, driving)
        losses: dict[str, Tensor] = {}
        if self.perceptual is not None:
            losses["perceptual"] = self.perceptual(animation.prediction, driving)
        if self.weights.pixel > 0:
            losses["pixel"] = pyramid_l1(animation.prediction, driving)
        if self.weights.landmarks > 0:
            source_loss = landmark_loss(animation.kp_source.value, batch.source_guides)
            driving_loss = landmark_loss(animation.kp_driving.value, batch.driving_guides)
            losses["landmarks"] = (source_loss + driving_loss) / 2
        if self.weights.equivariance > 0:
            losses |= equivariance_losses(self.model.detect, driving, animation.kp_driving)
        return animation.prediction, losses


def weighted_total(losses: dict[str, Tensor], weights: LossWeights) -> Tensor:
    """Sum the terms of eq. 6, each multiplied by its weight.

    Args:
        losses: scalars by their names in the configuration.
        weights: weights of the terms.
    """
    by_name = {
        "perceptual": weights.perceptual,
        "pixel": weights.pixel,
        "adversarial": weights.adversarial,
        "feature_matching": weights.feature_matching,
        "equivariance": weights.equivariance,
        "jacobian": weights.jacobian,
        "landmarks": weights.landmarks,
    }
    return torch.stack([by_name[name] * loss for name, loss in losses.items()]).sum()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Compute L_D (eq. 4, least squares): the mean of (1 - D(driving))^2 + D(prediction)^2."""
    return (1 - real).square().mean() + fake.square().mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Compute L_G (eq. 5, least squares): the mean of (1 - D(prediction))^2."""
    return (1 - fake).square().mean()


def pyramid_l1(prediction: Tensor, driving: Tensor, levels: int = PYRAMID_LEVELS) -> Tensor:
    """Compute the mean absolute difference, averaged over an image pyramid.

    The coarse levels reward motion in the right direction before it is exact.

    Args:
        prediction: predicted frames, (B, 3, H, W).
        driving: driving frames, of the same shape.
        levels: levels of the pyramid, each half the side of the previous.
    """
    pairs = zip(pyramid(prediction, levels), pyramid(driving, levels), strict=True)
    return torch.stack([F.l1_loss(image, target) for image, target in pairs]).mean()


def feature_matching_loss(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Sum the mean absolute differences of the discriminator's features over layers (pix2pixHD, eq. 4).

    Args:
        fake: features of the prediction, by layer.
        real: features of the driving frames, by layer; they receive no gradient.
    """
    return torch.stack([F.l1_loss(a, b.detach()) for a, b in zip(fake, real, strict=True)]).sum()


def landmark_loss(keypoints: Tensor, target: Tensor) -> Tensor:
    """Compute the mean absolute distance of the first keypoints from the landmarks that guide them.

    Args:
        keypoints: detected keypoints, (B, K, 2) in [-1, 1].
        target: their target positions, (B, G, 2) in [-1, 1], G <= K; the other keypoints are free.
    """
    return F.l1_loss(keypoints[:, : target.shape[1]], target)


def equivariance_losses(
    detect: Callable[[Tensor], Keypoints], frames: Tensor, keypoints: Keypoints
) -> dict[str, Tensor]:
    """Penalize keypoints and jacobians that do not follow a known warp (Siarohin et al., 2019, eq. 9 and 11).

    Args:
        detect: keypoint detector.
        frames: (B, 3, H, W).
        keypoints: keypoints that `detect` found on the frames.

    Returns:
        `equivariance`, the mean absolute difference of positions, and if there are jacobians `jacobian`, that
        of J_frames^-1 J_warp J_warped from the identity.
    """
    # Only the layers of the network may be computed in bfloat16, not the positions of pixels.
    with torch.autocast(frames.device.type, enabled=False):
        warp = RandomWarp(len(frames), like=frames)
        warped = warp.image(frames)
    kp_warped = detect(warped)
    with torch.autocast(frames.device.type, enabled=False):
        losses = {"equivariance": F.l1_loss(warp.points(kp_warped.value), keypoints.value)}
        if kp_warped.jacobian is not None and keypoints.jacobian is not None:
            expected = warp.jacobian(kp_warped.value) @ kp_warped.jacobian
            product = torch.linalg.inv(keypoints.jacobian) @ expected
            losses["jacobian"] = F.l1_loss(product, torch.eye(2, device=product.device).expand_as(product))
    return losses


class RandomWarp:
    """Random thin-plate-spline warp of frames and of points on them (Siarohin et al., 2019, section 3.1).

    Args:
        batch: number of frames, each with a separate warp.
        like: tensor on the device to use.
        affine: standard deviation of the affine part.
        bend: standard deviation of the control points' displacement, in units of [-1, 1].
        points: control points along a side.
    """

    def __init__(
        self, batch: int, like: Tensor, affine: float = 0.05, bend: float = 0.02, points: int = 5
    ) -> None:
        line = torch.linspace(-1, 1, points, device=like.device)
        controls = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1).view(1, -1, 2)
        controls = controls.repeat(batch, 1, 1)
        linear = torch.eye(2, device=like.device) + affine * torch.randn(batch, 2, 2, device=like.device)
        shift = affine * torch.randn(batch, 1, 2, device=like.device)
        targets = controls @ linear + shift + bend * torch.randn_like(controls)
        self.centers = targets
        self.kernel, self.linear = get_tps_transform(controls, targets)

    def image(self, image: Tensor) -> Tensor:
        """Warp frames (B, 3, H, W): the pixel at z shows the frame at `points(z)`."""
        warped: Tensor = warp_image_tps(
            image, self.centers, self.kernel, self.linear, align_corners=True, padding_mode="border"
        )
        return warped

    def points(self, points: Tensor) -> Tensor:
        """Map points (B, N, 2) of the warped frames to their positions in the original frames."""
        moved: Tensor = warp_points_tps(points, self.centers, self.kernel, self.linear)
        return moved

    def jacobian(self, points: Tensor) -> Tensor:
        """Compute the jacobian of `points` at points (B, N, 2): (B, N, 2, 2), rows x then y of the result."""
        # Each result depends on its point alone, so the gradient of the sum holds the gradients of all.
        points = points if points.requires_grad else points.detach().requires_grad_()
        with torch.enable_grad():
            moved = self.points(points)
            rows = [torch.autograd.grad(moved[..., i].sum(), points, create_graph=True)[0] for i in (0, 1)]
        return torch.stack(rows, dim=-2)


class NonFiniteLossError(Exception):
    """Error for a loss or a gradient that is infinite or NaN; the message names it."""


def require_finite(losses: dict[str, Tensor]) -> None:
    """Check that losses are finite, before the backward pass, which crashes if a warp's grid is NaN.

    Raises:
        NonFiniteLossError: a loss is not finite.
    """
    values = torch.stack([loss.detach() for loss in losses.values()]).tolist()
    broken = [name for name, value in zip(losses, values, strict=True) if not math.isfinite(value)]
    if broken:
        raise NonFiniteLossError(f"the loss {', '.join(broken)} is not finite")
