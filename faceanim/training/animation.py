"""Training of the animation networks: the paper's section 3.1, eq. 3-6."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from faceanim.config import TrainAnimationConfig
from faceanim.datasets.animation import PairBatch, PairDataset
from faceanim.datasets.frames import CropFrames
from faceanim.media.frames import Frame
from faceanim.media.tensors import to_uint8
from faceanim.models.animation import Animation
from faceanim.models.build import build_animation, build_discriminator
from faceanim.models.keypoints import load_encoder_weights
from faceanim.models.perceptual import load_perceptual
from faceanim.models.pretrained import fetch_weights
from faceanim.models.storage import save_animation
from faceanim.training.checkpoint import open_checkpoints
from faceanim.training.engine import Engine, enable_determinism, evaluating, seed_step
from faceanim.training.loop import fit
from faceanim.training.losses import (
    AnimationObjective,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    require_finite,
    weighted_total,
)
from faceanim.training.monitoring import NUM_SAMPLES, RunContext
from faceanim.training.optim import Swats, WeightAverage, build_optimizer
from faceanim.viz import MIN_KEYPOINT_SIDE, draw_keypoints, stack_columns


def train_animation(
    config: TrainAnimationConfig,
    crops: Path,
    landmarks: Path,
    out: Path,
    history: Path,
    checkpoints: Path,
    context: RunContext,
) -> dict[str, float]:
    """Train on the crops of the `train` split, going on from a checkpoint of the same run if there is one.

    Args:
        config: the stage's parameters.
        crops: crops.parquet.
        landmarks: folder of the landmarks tables; frames without a face are left out.
        out: folder to write the model to.
        history: CSV to write the curves to.
        checkpoints: folder for the state of an unfinished run.
        context: who reads the batches, and who is told.

    Returns:
        The last row of the curves.

    Raises:
        FaceanimError: no usable crops, missing pretrained weights, a batch that can't be divided, or one of
            `fit`'s.
    """
    enable_determinism()
    trainer = AnimationTrainer(config)
    engine = trainer.engine
    frames = CropFrames(crops, "train", config.model.size, landmarks)
    batches = PairDataset(frames, config, engine.rank, engine.processes)
    tables = [crops, *sorted(landmarks.glob("*.parquet"))]
    saved = open_checkpoints(checkpoints, "animation", config, tables)
    with engine.exclusive_gpu():
        last = fit(trainer, batches, config, saved, history, context)
    if engine.is_main:
        save_animation(trainer.average.averaged_model, config.model, out)
        saved.remove()
    return last


class AnimationTrainer:
    """The networks, their optimisers and one step of each in turn (the paper's algorithm 1)."""

    def __init__(self, config: TrainAnimationConfig) -> None:
        self.weights = config.losses
        self.engine = Engine(config.engine, config.batch_size)
        seed_step(config.seed, 0)
        self.model = build_animation(config.model)
        if config.encoder_weights == "imagenet":
            load_encoder_weights(self.model.keypoint_detector, fetch_weights(config.model.encoder))
        self.optimizer = build_optimizer(self.model, config.optimizer)
        self.discriminator = build_discriminator(config.discriminator_channels)
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminator.parameters(), lr=config.optimizer.lr, betas=(0.5, 0.999)
        )
        objective = AnimationObjective(self.model, self._perceptual(), config.losses)
        self.objective, self.fabric_optimizer = self.engine.setup(objective, self.optimizer)
        self.fabric_discriminator, self.fabric_discriminator_optimizer = self.engine.setup(
            self.discriminator, self.discriminator_optimizer
        )
        self.average = WeightAverage(self.model, config.engine.ema_decay)

    def _perceptual(self) -> nn.Module | None:
        weights = self.weights
        if weights.perceptual == 0:
            return None
        return load_perceptual(fetch_weights("vgg19"), weights.perceptual_scales)

    def step(self, batch: PairBatch) -> dict[str, Tensor]:
        """Train on a batch and give the losses."""
        losses = self.engine.accumulate(batch, (self.objective, self.fabric_discriminator), self._gradients)
        self.engine.update(self.model, self.fabric_optimizer)
        if self.weights.adversarial > 0:
            self.engine.update(self.discriminator, self.fabric_discriminator_optimizer)
        self.average.update()
        return losses

    def _gradients(self, *part: Tensor) -> dict[str, Tensor]:
        batch = PairBatch(*part)
        losses: dict[str, Tensor]
        prediction, losses = self.objective(batch)
        if self.weights.adversarial > 0:
            losses |= self._adversarial(prediction, batch.driving)
        total = weighted_total(losses, self.weights)
        require_finite(self.engine.average(losses))
        self.engine.backward(total)
        if self.weights.adversarial > 0:
            losses["discriminator"] = self._discriminator_gradients(prediction.detach(), batch.driving)
        return losses | {"total": total}

    def _adversarial(self, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        self.discriminator.requires_grad_(False)
        judged = self.fabric_discriminator(fake)
        losses = {"adversarial": generator_loss(judged.score)}
        if self.weights.feature_matching > 0:
            losses["feature_matching"] = feature_matching_loss(
                judged.features, self.fabric_discriminator(real).features
            )
        self.discriminator.requires_grad_(True)
        return losses

    def _discriminator_gradients(self, fake: Tensor, real: Tensor) -> Tensor:
        loss = discriminator_loss(
            self.fabric_discriminator(real).score, self.fabric_discriminator(fake).score
        )
        require_finite(self.engine.average({"discriminator": loss}))
        self.engine.backward(loss)
        return loss

    def draw_samples(self, batch: PairBatch) -> Frame:
        """Draw what the averaged model makes of the first few samples of a batch."""
        samples = (batch.source[:NUM_SAMPLES], batch.driving[:NUM_SAMPLES])
        source, driving = self.engine.fabric.to_device(samples)
        with evaluating(self.average.averaged_model) as model:
            animation = model(source, driving)
        return draw_animation(source, driving, animation)

    def current_rates(self) -> dict[str, float | str]:
        """The phase of SWATS and the rate in use, for the curves."""
        if isinstance(self.optimizer, Swats):
            return {"phase": self.optimizer.phase, "lr": self.optimizer.rate}
        return {"phase": "adam", "lr": self.optimizer.param_groups[0]["lr"]}

    def stateful_parts(self) -> dict[str, Any]:
        """Everything that a step changes, for a checkpoint."""
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "discriminator": self.discriminator,
            "discriminator_optimizer": self.discriminator_optimizer,
            "average": self.average,
        }


def draw_animation(source: Tensor, driving: Tensor, animation: Animation) -> Frame:
    """Draw a row for each sample: source, driving, warped, occlusion map, generated, prediction.

    Args:
        source: (B, 3, H, W), RGB in [0, 1]; its keypoints are drawn on it.
        driving: the same shape, likewise.
        animation: of these.
    """
    occlusion_map = animation.occlusion_map.expand_as(animation.prediction)
    images = (source, driving, animation.warped, occlusion_map, animation.generated, animation.prediction)
    columns = [list(to_uint8(each.float())) for each in images]
    for column, keypoints in enumerate((animation.kp_source, animation.kp_driving)):
        points = keypoints.value.float().cpu().numpy()
        columns[column] = [draw_keypoints(*pair) for pair in zip(columns[column], points, strict=True)]
    return stack_columns(columns, max(MIN_KEYPOINT_SIDE, source.shape[-1]))
