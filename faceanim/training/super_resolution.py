"""Training of the super-resolution network (section 3.2, eq. 7) on inputs like those it will restore.

The paper does not specify its low-resolution faces. Here, some are degraded crops, and some are predictions
of the animation model, like all inputs in use: a network trained on crops alone sharpens misplaced edges and
falls behind bicubic enlargement.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from faceanim.config import TrainSuperResolutionConfig
from faceanim.datasets.frames import CropFrames
from faceanim.datasets.super_resolution import RestorationBatch, RestorationDataset
from faceanim.media.frames import Frame
from faceanim.media.tensors import to_uint8
from faceanim.models.animation import AnimationModel
from faceanim.models.build import build_super_resolution
from faceanim.models.keypoints import Keypoints
from faceanim.models.storage import WEIGHTS, load_animation, save_super_resolution
from faceanim.training.checkpoint import open_checkpoints
from faceanim.training.engine import Engine, enable_determinism, evaluating, seed_step
from faceanim.training.loop import fit
from faceanim.training.losses import require_finite
from faceanim.training.monitoring import NUM_SAMPLES, RunContext
from faceanim.training.optim import WeightAverage, cosine_factor
from faceanim.viz import stack_columns

WARM_UP_FRACTION = 0.1
"""Fraction of the steps in which the learning rate rises; from there it decays to 0 along half a cosine."""


def train_super_resolution(
    config: TrainSuperResolutionConfig,
    crops: Path,
    landmarks: Path,
    animation: Path,
    out: Path,
    history: Path,
    checkpoints: Path,
    context: RunContext,
) -> dict[str, float]:
    """Train on the crops of the `train` split, resuming from a checkpoint of the same run if there is one.

    The targets are the crops as stored; see `RestorationBatch` for the inputs.

    Args:
        config: parameters of the stage.
        crops: path of crops.parquet.
        landmarks: folder of the landmarks tables; not read unless the animation model uses landmarks. Frames
            without a face are then excluded.
        animation: folder of the animation model; not read if no frame is restored from its predictions.
        out: folder to write the model to.
        history: CSV to write the curves to.
        checkpoints: folder for the state of an unfinished run.
        context: loader workers, logger and step callback.

    Returns:
        The last row of the curves.

    Raises:
        FaceanimError: no crop is usable, the animation model is missing, the batch cannot be divided, or
            `fit` fails.
    """
    enable_determinism()
    inputs, generator, tables = [crops], None, None
    if config.generated_prob > 0:
        generator = load_animation(animation)
        inputs.append(animation / WEIGHTS)
        if generator.dense_motion.uses_landmarks:
            tables = landmarks
            inputs += sorted(landmarks.glob("*.parquet"))
    trainer = SuperResolutionTrainer(config, generator)
    engine = trainer.engine
    frames = CropFrames(crops, "train", landmarks=tables)
    batches = RestorationDataset(frames, config, engine.rank, engine.processes)
    saved = open_checkpoints(checkpoints, "super-resolution", config, inputs)
    with engine.exclusive_gpu():
        last = fit(trainer, batches, config, saved, history, context)
    if engine.is_main:
        save_super_resolution(trainer.average.averaged_model, config.model, out)
        saved.remove()
    return last


class SuperResolutionTrainer:
    """Network with its optimizer, and one step of its training.

    Args:
        config: parameters of the stage.
        generator: trained animation model, which does not change; None if no batch needs its predictions.
    """

    main_loss = "l1"

    def __init__(self, config: TrainSuperResolutionConfig, generator: AnimationModel | None) -> None:
        self.config = config
        self.engine = Engine(config.engine, config.batch_size)
        seed_step(config.seed, 0)
        self.model = build_super_resolution(config.model)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: lr_factor(step, config.steps)
        )
        self.enlarge, self.fabric_optimizer = self.engine.setup(self.model, self.optimizer)
        self.average = WeightAverage(self.model, config.engine.ema_decay)
        self.generator = generator and generator.to(self.engine.fabric.device).eval()

    def step(self, batch: RestorationBatch) -> dict[str, Tensor]:
        """Train on a batch and return the loss (eq. 7)."""
        losses = self.engine.accumulate(batch, (self.enlarge,), self._gradients)
        self.engine.update(self.model, self.fabric_optimizer)
        self.schedule.step()
        self.average.update()
        return losses

    def _gradients(self, *part: Tensor) -> dict[str, Tensor]:
        batch = RestorationBatch(*part)
        # Edges are restored alike in all colors, and the few backgrounds of a small set are not memorized.
        inputs, target = (
            permute_channels(frames, batch.channel_order)
            for frames in (self.make_inputs(batch), batch.target)
        )
        losses = {"l1": F.l1_loss(self.enlarge(inputs, batch.generated), target)}
        require_finite(self.engine.average(losses))
        self.engine.backward(losses["l1"])
        return losses

    @torch.no_grad()
    def make_inputs(self, batch: RestorationBatch) -> Tensor:
        """Make the inputs from which the batch is restored: (B, 3, H / factor, W / factor) in [0, 1]."""
        mask = batch.generated
        if self.generator is None or not mask.any():
            return batch.small
        source, driving = batch.source[mask], batch.small[mask]
        kp_source = self.generator.detect(source, batch.source_landmarks[mask])
        kp_driving = self._add_noise(self.generator.detect(driving, batch.driving_landmarks[mask]))
        animation = self.generator.animate(source, kp_source, kp_driving)
        return batch.small.index_put((mask,), animation.prediction.clamp(0, 1))

    def _add_noise(self, keypoints: Keypoints) -> Keypoints:
        """Misplace keypoints: the animation model was trained on these people, and errs more on others."""
        value, landmarks = keypoints.value, keypoints.landmarks
        level = self.config.keypoint_noise * torch.rand(len(value), 1, 1, device=value.device)
        noisy = replace(keypoints, value=value + level * torch.randn_like(value))
        if landmarks is None:
            return noisy
        # Landmarks err together; noise of each would tear the face, which no detector does.
        return replace(noisy, landmarks=landmarks + level * torch.randn_like(landmarks[:, :1]))

    def draw_samples(self, batch: RestorationBatch) -> Frame:
        """Draw input, output and target for the first `NUM_SAMPLES` samples of a batch, a row each."""
        batch = RestorationBatch(*(part[:NUM_SAMPLES] for part in self.engine.fabric.to_device(tuple(batch))))
        inputs = self.make_inputs(batch)
        with evaluating(self.average.averaged_model) as model:
            output = model(inputs, batch.generated)
        enlarged = F.interpolate(inputs, batch.target.shape[-2:])
        columns = [list(to_uint8(image.float())) for image in (enlarged, output, batch.target)]
        return stack_columns(columns, batch.target.shape[-1])

    def current_rates(self) -> dict[str, float | str]:
        """Return the learning rate in use, for the curves."""
        return {"lr": float(self.schedule.get_last_lr()[0])}

    def stateful_parts(self) -> dict[str, Any]:
        """Return everything that a step changes, for a checkpoint."""
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "average": self.average,
        }


def lr_factor(step: int, steps: int) -> float:
    """Return the factor of the learning rate after `step` steps: a rise, then half a cosine to 0."""
    rise = max(1, round(WARM_UP_FRACTION * steps))
    if step < rise:
        return (step + 1) / rise
    return cosine_factor(step - rise, steps - rise)


def permute_channels(frames: Tensor, order: Tensor) -> Tensor:
    """Permute the color channels of frames (B, 3, H, W), each by its order (B, 3)."""
    return frames.gather(1, order[:, :, None, None].expand_as(frames))
