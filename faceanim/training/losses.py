"""Losses of section 3 (eq. 4-6) and of later work; eq. 3 is in `faceanim.models.perceptual`."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from kornia.geometry.transform import get_tps_transform, warp_image_tps, warp_points_tps
from torch import Tensor, nn

from faceanim.config import LossWeights
from faceanim.datasets.animation import PairBatch
from faceanim.models.animation import Animation, AnimationModel
from faceanim.models.grids import identity_grid, pyramid, resize_grid, resize_map, warp
from faceanim.models.keypoints import Keypoints
from faceanim.models.landmark_motion import squared_distance
from faceanim.models.layers import single_precision

PYRAMID_LEVELS = 4
SMALL_ERROR = 1e-4
"""Mean squared error, for values in [0, 1], that is too small to be worth a painting: that of 40 dB."""
FOCUS_FLOOR = 0.1
"""Weight in `painting_loss` of pixels outside the focus."""
FOCUS = list(range(36, 68))
"""Landmarks of eyes and mouth, of iBUG's 68."""
FOCUS_SIGMA = 0.06
"""Standard deviation of the Gaussians around them, in units of [-1, 1]."""


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
        animation = self.model(batch.source, batch.driving, batch.source_landmarks, batch.driving_landmarks)
        return animation.prediction, self._compare(batch, animation)

    def _compare(self, batch: PairBatch, animation: Animation) -> dict[str, Tensor]:
        weights, driving = self.weights, batch.driving
        losses: dict[str, Tensor] = {}
        if self.perceptual is not None:
            losses["perceptual"] = self.perceptual(animation.prediction, driving)
        focus = focus_map(batch.driving_landmarks, driving.shape[-1]) if weights.focus > 0 else None
        pixel_weights = None if focus is None else 1 + weights.focus * focus
        if weights.pixel > 0:
            losses["pixel"] = pyramid_l1(animation.prediction, driving, pixel_weights)
        if weights.warped > 0:
            losses["warped"] = pyramid_l1(animation.warped, driving, pixel_weights)
        if weights.painted > 0:
            losses["painted"] = painting_loss(animation, driving, focus)
        if weights.feature_warp > 0:
            losses["feature_warp"] = self._compare_features(batch, animation)
        if weights.flow > 0:
            losses["flow"] = flow_loss(animation.deformation, batch.grid, batch.visible)
        if weights.visibility > 0 and animation.masks is not None:
            losses["visibility"] = visibility_loss(animation.masks, batch.visible)
        if weights.landmarks > 0:
            source_loss = landmark_loss(animation.kp_source.value, batch.source_guides)
            driving_loss = landmark_loss(animation.kp_driving.value, batch.driving_guides)
            losses["landmarks"] = (source_loss + driving_loss) / 2
        if weights.equivariance > 0:
            losses |= equivariance_losses(self.model.detect, driving, animation.kp_driving)
        return losses

    def _compare_features(self, batch: PairBatch, animation: Animation) -> Tensor:
        """Compare the source's features, warped, with those of the driving frame, at each scale."""
        source, driving = (self.model.encode(frames)[1:] for frames in (batch.source, batch.driving))
        with single_precision(batch.source):
            return torch.stack(
                [
                    F.l1_loss(warp(a.float(), resize_grid(animation.deformation, *a.shape[-2:])), b.float())
                    for a, b in zip(source, driving, strict=True)
                ]
            ).mean()


def weighted_total(losses: dict[str, Tensor], weights: LossWeights) -> Tensor:
    """Sum the terms of eq. 6, each multiplied by its weight.

    Args:
        losses: scalars by their names in the configuration.
        weights: weights of the terms.
    """
    by_name = {
        "perceptual": weights.perceptual,
        "pixel": weights.pixel,
        "warped": weights.warped,
        "painted": weights.painted,
        "feature_warp": weights.feature_warp,
        "flow": weights.flow,
        "visibility": weights.visibility,
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


def pyramid_l1(
    prediction: Tensor, driving: Tensor, weight: Tensor | None = None, levels: int = PYRAMID_LEVELS
) -> Tensor:
    """Compute the mean absolute difference, averaged over an image pyramid.

    The coarse levels reward motion in the right direction before it is exact.

    Args:
        prediction: predicted frames, (B, 3, H, W).
        driving: driving frames, of the same shape.
        weight: weights of the pixels, (B, 1, H, W); None: all 1.
        levels: levels of the pyramid, each half the side of the previous.
    """
    pairs = zip(pyramid(prediction, levels), pyramid(driving, levels), strict=True)
    if weight is None:
        return torch.stack([F.l1_loss(image, target) for image, target in pairs]).mean()
    differences = [
        ((image - target).abs() * mask).mean()
        for (image, target), mask in zip(pairs, pyramid(weight, levels), strict=True)
    ]
    return torch.stack(differences).mean()


def painting_loss(animation: Animation, driving: Tensor, focus: Tensor | None) -> Tensor:
    """Compute the squared error of the painting and of the prediction, relative to that of the warp.

    The painting is also compared by itself, so that it learns where the mask still shows the warp alone. The
    warp is right in most pixels, and an absolute difference would hold the painting there: its gradient jumps
    at zero. Relative to the warp's error, an open mouth counts as much as a still one.

    Args:
        animation: animation of a batch.
        driving: driving frames, (B, 3, H, W).
        focus: see `focus_map`, (B, 1, H, W) in [0, 1]; None: all pixels count the same.
    """
    weight = torch.ones_like(driving[:, :1]) if focus is None else FOCUS_FLOOR + focus
    weight = weight / weight.mean(dim=(1, 2, 3), keepdim=True)

    def error(frames: Tensor) -> Tensor:
        return (weight * (frames - driving).square()).mean(dim=(1, 2, 3))

    warped = error(animation.warped.detach()) + SMALL_ERROR
    return ((error(animation.generated) + error(animation.prediction)) / (2 * warped)).mean()


def focus_map(landmarks: Tensor, size: int) -> Tensor:
    """Draw mouth and eyes, where people look, as Gaussians around their landmarks.

    Args:
        landmarks: (B, 68, 2) in [-1, 1]; NaN without landmarks.
        size: side of the map.

    Returns:
        (B, 1, size, size) in [0, 1]; 0 without landmarks.
    """
    grid = identity_grid(size, size, like=landmarks).view(1, -1, 2)
    distance = squared_distance(grid, landmarks[:, FOCUS]).amin(dim=-1)
    return torch.exp(-0.5 * distance / FOCUS_SIGMA**2).nan_to_num(0.0).view(-1, 1, size, size)


def flow_loss(deformation: Tensor, truth: Tensor, visible: Tensor) -> Tensor:
    """Compute the mean absolute difference of the motion from the true one, where the source shows the pixel.

    Args:
        deformation: F_n, (B, h, w, 2).
        truth: true motion, (B, S, S, 2); NaN where it is not known.
        visible: (B, 1, S, S), 1 where the source shows the pixel.
    """
    difference = (resize_grid(deformation, *truth.shape[1:3]) - truth).abs().sum(dim=-1)
    counted = (visible[:, 0] == 1) & difference.isfinite()
    return torch.where(counted, difference, 0).sum() / counted.sum().clamp(min=1)


def visibility_loss(masks: Tensor, visible: Tensor) -> Tensor:
    """Compute the cross entropy of masks (B, N, h, w) with the visibility (B, 1, S, S), NaN where unknown."""
    known = visible.isfinite().flatten(1).all(dim=1)
    target = resize_map(visible.nan_to_num(), masks.shape[-1]).expand_as(masks)
    with single_precision(masks):
        entropy = F.binary_cross_entropy(masks, target, reduction="none").mean(dim=(1, 2, 3))
    return (entropy * known).sum() / known.sum().clamp(min=1)


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
