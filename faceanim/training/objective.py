"""What the animation networks are trained on, as one module: one forward pass for DDP to watch."""

from torch import Tensor, nn

from faceanim.config import LossWeights
from faceanim.models.animation import AnimationModel
from faceanim.training.losses import equivariance_loss, pyramid_l1


class Objective(nn.Module):
    """The terms of eq. 6 that need no discriminator.

    Args:
        model: the networks to train.
        perceptual: eq. 3, or None where its weight is 0.
        weights: which terms are switched on.
    """

    def __init__(self, model: AnimationModel, perceptual: nn.Module | None, weights: LossWeights) -> None:
        super().__init__()
        self.model = model
        self.perceptual = perceptual
        self.weights = weights

    def forward(self, source: Tensor, driving: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Animate and compare.

        Args:
            source: (B, 3, H, W), RGB in [0, 1].
            driving: the same shape.

        Returns:
            The prediction (B, 3, H, W) and the unweighted losses by their names in the configuration.
        """
        animation = self.model(source, driving)
        losses: dict[str, Tensor] = {}
        if self.perceptual is not None:
            losses["perceptual"] = self.perceptual(animation.prediction, driving)
        if self.weights.pixel > 0:
            losses["pixel"] = pyramid_l1(animation.prediction, driving)
        if self.weights.equivariance > 0:
            losses["equivariance"] = equivariance_loss(self.model.detect, driving, animation.kp_driving)
        return animation.prediction, losses
