"""What the animation networks are trained on, as one module: one forward pass for DDP to watch."""

from torch import Tensor, nn

from faceanim.config import LossWeights
from faceanim.data.pairs import PairBatch
from faceanim.models.animation import AnimationModel
from faceanim.training.losses import equivariance_losses, landmark_loss, pyramid_l1


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

    def forward(self, batch: PairBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Animate and compare.

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
            of_source = landmark_loss(animation.kp_source.value, batch.source_guides)
            of_driving = landmark_loss(animation.kp_driving.value, batch.driving_guides)
            losses["landmarks"] = (of_source + of_driving) / 2
        if self.weights.equivariance > 0:
            losses |= equivariance_losses(self.model.detect, driving, animation.kp_driving)
        return animation.prediction, losses
