"""Training of the animation networks (section 3.1, eq. 3-6)."""

from functools import partial
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
from faceanim.models.grids import identity_grid, warp
from faceanim.models.keypoints import load_encoder_weights
from faceanim.models.layers import single_precision
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
from faceanim.training.optim import Swats, WeightAverage, build_optimizer, cosine_factor
from faceanim.viz import MIN_KEYPOINT_SIDE, draw_keypoints, stack_columns

FACE_MARGIN = 0.15
"""Margin around the landmarks in the square that the discriminator sees, as a fraction of their extent."""


def train_animation(
    config: TrainAnimationConfig,
    crops: Path,
    landmarks: Path,
    out: Path,
    history: Path,
    checkpoints: Path,
    context: RunContext,
) -> dict[str, float]:
    """Train on the crops of the `train` split, resuming from a checkpoint of the same run if there is one.

    Args:
        config: parameters of the stage.
        crops: path of crops.parquet.
        landmarks: folder of the landmarks tables; frames without a face are excluded.
        out: folder to write the model to.
        history: CSV to write the curves to.
        checkpoints: folder for the state of an unfinished run.
        context: loader workers, logger and step callback.

    Returns:
        The last row of the curves.

    Raises:
        FaceanimError: no crop is usable, pretrained weights are missing, the batch cannot be divided, or
            `fit` fails.
    """
    enable_determinism()
    trainer = AnimationTrainer(config)
    engine = trainer.engine
    frames = CropFrames(crops, "train", config.model.size, landmarks)
    batches = build_pairs(frames, config, engine.rank, engine.processes)
    tables = [crops, *sorted(landmarks.glob("*.parquet"))]
    saved = open_checkpoints(checkpoints, "animation", config, tables)
    with engine.exclusive_gpu():
        last = fit(trainer, batches, config, saved, history, context)
    if engine.is_main:
        save_animation(trainer.average.averaged_model, config.model, out)
        saved.remove()
    return last


def build_pairs(
    frames: CropFrames, config: TrainAnimationConfig, rank: int = 0, processes: int = 1
) -> PairDataset:
    """Build the dataset of training pairs, some of which are rendered if the configuration says so."""
    if config.rendered_prob == 0:
        return PairDataset(frames, config, rank, processes)
    from faceanim.training.rendered_pairs import MixedPairs  # needs numba, and compiles for a minute

    return MixedPairs(frames, config, rank, processes)


class AnimationTrainer:
    """Networks with their optimizers, each stepped in turn (the paper's algorithm 1)."""

    main_loss = "total"

    def __init__(self, config: TrainAnimationConfig) -> None:
        self.weights = config.losses
        self.engine = Engine(config.engine, config.batch_size)
        seed_step(config.seed, 0)
        self.model = build_animation(config.model)
        if config.encoder_weights == "imagenet":
            load_encoder_weights(self.model.keypoint_detector, fetch_weights(config.model.encoder))
        self.optimizer = build_optimizer(self.model, config.optimizer)
        self.schedule = None
        if config.optimizer.decay == "cosine":
            self.schedule = torch.optim.lr_scheduler.LambdaLR(
                self.optimizer, partial(cosine_factor, steps=config.steps)
            )
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
        """Train on a batch and return the losses."""
        losses = self.engine.accumulate(batch, (self.objective, self.fabric_discriminator), self._gradients)
        self.engine.update(self.model, self.fabric_optimizer)
        if self.schedule is not None:
            self.schedule.step()
        if self.weights.adversarial > 0:
            self.engine.update(self.discriminator, self.fabric_discriminator_optimizer)
        self.average.update()
        return losses

    def _gradients(self, *part: Tensor) -> dict[str, Tensor]:
        batch = PairBatch(*part)
        losses: dict[str, Tensor]
        prediction, losses = self.objective(batch)
        fake, real = prediction, batch.driving
        if self.weights.adversarial > 0:
            if self.model.dense_motion.uses_landmarks:
                fake, real = (crop_faces(frames, batch.driving_landmarks) for frames in (fake, real))
            losses |= self._adversarial(fake, real)
        total = weighted_total(losses, self.weights)
        require_finite(self.engine.average(losses))
        self.engine.backward(total)
        if self.weights.adversarial > 0:
            losses["discriminator"] = self._discriminator_gradients(fake.detach(), real)
        return losses | {"total": total}

    def _adversarial(self, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        self.discriminator.requires_grad_(False)
        output = self.fabric_discriminator(fake)
        losses = {"adversarial": generator_loss(output.score)}
        if self.weights.feature_matching > 0:
            losses["feature_matching"] = feature_matching_loss(
                output.features, self.fabric_discriminator(real).features
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
        """Draw the averaged model's output for the first `NUM_SAMPLES` samples of a batch."""
        parts = (batch.source, batch.driving, batch.source_landmarks, batch.driving_landmarks)
        samples = tuple(part[:NUM_SAMPLES] for part in parts)
        source, driving, *landmarks = self.engine.fabric.to_device(samples)
        with evaluating(self.average.averaged_model) as model:
            animation = model(source, driving, *landmarks)
        return draw_animation(source, driving, animation)

    def current_rates(self) -> dict[str, float | str]:
        """Return the phase, `adam` or `sgd`, and the learning rate in use, for the curves."""
        if isinstance(self.optimizer, Swats):
            return {"phase": self.optimizer.phase, "lr": self.optimizer.rate}
        return {"phase": "adam", "lr": self.optimizer.param_groups[0]["lr"]}

    def stateful_parts(self) -> dict[str, Any]:
        """Return everything that a step changes, for a checkpoint."""
        parts = {
            "model": self.model,
            "optimizer": self.optimizer,
            "discriminator": self.discriminator,
            "discriminator_optimizer": self.discriminator_optimizer,
            "average": self.average,
        }
        return parts if self.schedule is None else parts | {"schedule": self.schedule}


def crop_faces(frames: Tensor, landmarks: Tensor) -> Tensor:
    """Cut out the faces that the discriminator compares; it would otherwise look at walls as well.

    Args:
        frames: (B, 3, S, S).
        landmarks: their landmarks, (B, 68, 2) in [-1, 1]; NaN: the frame is kept whole.

    Returns:
        (B, 3, S / 2, S / 2): the square around the landmarks, enlarged by `FACE_MARGIN`.
    """
    low, high = landmarks.amin(dim=1), landmarks.amax(dim=1)
    half = (high - low).amax(dim=1) * (0.5 + FACE_MARGIN)
    known = half.isfinite()
    center = torch.where(known[:, None], (low + high) / 2, 0.0)
    half = torch.where(known, half, 1.0)
    side = frames.shape[-1] // 2
    with single_precision(frames):
        grid = identity_grid(side, side, like=landmarks)
        return warp(frames, center[:, None, None] + half[:, None, None, None] * grid)


def draw_animation(source: Tensor, driving: Tensor, animation: Animation) -> Frame:
    """Draw a row for each sample: source, driving, warped, occlusion map, generated, prediction.

    Args:
        source: source frames, (B, 3, H, W), RGB in [0, 1]; their keypoints are drawn on them.
        driving: driving frames, of the same shape and range, drawn the same way.
        animation: animation of `source` by `driving`.
    """
    occlusion_map = animation.occlusion_map.expand_as(animation.prediction)
    images = (source, driving, animation.warped, occlusion_map, animation.generated, animation.prediction)
    columns = [list(to_uint8(image.float())) for image in images]
    for column, keypoints in enumerate((animation.kp_source, animation.kp_driving)):
        points = keypoints.value.float().cpu().numpy()
        columns[column] = [draw_keypoints(*pair) for pair in zip(columns[column], points, strict=True)]
    return stack_columns(columns, max(MIN_KEYPOINT_SIDE, source.shape[-1]))
