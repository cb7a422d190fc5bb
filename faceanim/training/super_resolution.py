"""Training of the super-resolution network (section 3.2, eq. 7) on what it will be given.

The paper does not say what its low-resolution faces are. Here some are crops that were degraded, and some are
what the animation model made, as all are in use: a network that has only seen crops sharpens misplaced edges
and falls behind bicubic enlargement.
"""

import math
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
from faceanim.training.optim import WeightAverage
from faceanim.viz import stack_columns

WARM_UP_FRACTION = 0.1
"""Share of the steps in which the learning rate rises; from there it falls to nothing along half a cosine."""


def train_super_resolution(
    config: TrainSuperResolutionConfig,
    crops: Path,
    animation: Path,
    out: Path,
    history: Path,
    checkpoints: Path,
    context: RunContext,
) -> dict[str, float]:
    """Train on the crops of the `train` split, going on from a checkpoint of the same run if there is one.

    The crops as stored are what is to be restored; see `RestorationBatches` for what from.

    Args:
        config: the stage's parameters.
        crops: crops.parquet.
        animation: folder of the animation model; not read where nothing is restored from its frames.
        out: folder to write the model to.
        history: CSV to write the curves to.
        checkpoints: folder for the state of an unfinished run.
        context: who reads the batches, and who is told.

    Returns:
        The last row of the curves.

    Raises:
        FaceanimError: no usable crops, no animation model, a batch that can't be divided, or one of `fit`'s.
    """
    enable_determinism()
    given, generator = [crops], None
    if config.generated_prob > 0:
        generator = load_animation(animation)
        given.append(animation / WEIGHTS)
    trainer = SuperResolutionTrainer(config, generator)
    engine = trainer.engine
    batches = RestorationDataset(CropFrames(crops, "train"), config, engine.rank, engine.processes)
    saved = open_checkpoints(checkpoints, "super-resolution", config, given)
    with engine.exclusive_gpu():
        last = fit(trainer, batches, config, saved, history, context)
    if engine.is_main:
        save_super_resolution(trainer.average.averaged_model, config.model, out)
        saved.remove()
    return last


class SuperResolutionTrainer:
    """The network, its optimiser and one step.

    Args:
        config: the stage's parameters.
        generator: the trained animation model, which stays as it is; None: no batch asks for its frames.
    """

    def __init__(self, config: TrainSuperResolutionConfig, generator: AnimationModel | None) -> None:
        self.config = config
        self.engine = Engine(config.engine, config.batch_size)
        seed_step(config.seed, 0)
        self.model = build_super_resolution(config.model)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda done: lr_factor(done, config.steps)
        )
        self.enlarge, self.fabric_optimizer = self.engine.setup(self.model, self.optimizer)
        self.average = WeightAverage(self.model, config.engine.ema_decay)
        self.generator = generator and generator.to(self.engine.fabric.device).eval()

    def step(self, batch: RestorationBatch) -> dict[str, Tensor]:
        """Train on a batch; give the loss, eq. 7."""
        losses = self.engine.accumulate(batch, (self.enlarge,), self._gradients)
        self.engine.update(self.model, self.fabric_optimizer)
        self.schedule.step()
        self.average.update()
        return losses

    def _gradients(self, *part: Tensor) -> dict[str, Tensor]:
        batch = RestorationBatch(*part)
        # Edges are restored alike in all colours; a small set's few backgrounds aren't to be learnt by heart.
        given, wanted = (
            permute_channels(frames, batch.channel_order)
            for frames in (self.make_inputs(batch), batch.target)
        )
        losses = {"l1": F.l1_loss(self.enlarge(given, batch.generated), wanted)}
        require_finite(self.engine.average(losses))
        self.engine.backward(losses["l1"])
        return losses

    @torch.no_grad()
    def make_inputs(self, batch: RestorationBatch) -> Tensor:
        """What to restore the batch from: (B, 3, H / factor, W / factor) in [0, 1]."""
        which = batch.generated
        if self.generator is None or not which.any():
            return batch.small
        source, driving = batch.source[which], batch.small[which]
        kp_driving = self.generator.detect(driving)
        # It knows these people, and misplaces those that it will be used on by more.
        level = self.config.keypoint_noise * torch.rand(len(source), 1, 1, device=source.device)
        value = kp_driving.value + level * torch.randn_like(kp_driving.value)
        moved = Keypoints(value, kp_driving.jacobian)
        made = self.generator.animate(source, self.generator.detect(source), moved)
        return batch.small.index_put((which,), made.prediction.clamp(0, 1))

    def draw_samples(self, batch: RestorationBatch) -> Frame:
        """Draw a row for each of the first few samples of a batch: input, output and target."""
        batch = RestorationBatch(*(part[:NUM_SAMPLES] for part in self.engine.fabric.to_device(tuple(batch))))
        inputs = self.make_inputs(batch)
        with evaluating(self.average.averaged_model) as model:
            output = model(inputs, batch.generated)
        enlarged = F.interpolate(inputs, batch.target.shape[-2:])
        columns = [list(to_uint8(each.float())) for each in (enlarged, output, batch.target)]
        return stack_columns(columns, batch.target.shape[-1])

    def current_rates(self) -> dict[str, float | str]:
        """The rate in use, for the curves."""
        return {"lr": float(self.schedule.get_last_lr()[0])}

    def stateful_parts(self) -> dict[str, Any]:
        """Everything that a step changes, for a checkpoint."""
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "average": self.average,
        }


def lr_factor(done: int, steps: int) -> float:
    """The share of the learning rate for the step after those `done`: a rise, then half a cosine to 0."""
    rise = max(1, round(WARM_UP_FRACTION * steps))
    if done < rise:
        return (done + 1) / rise
    return (1 + math.cos(math.pi * (done - rise) / max(1, steps - rise))) / 2


def permute_channels(frames: Tensor, order: Tensor) -> Tensor:
    """Frames (B, 3, H, W), the colours of each in its order (B, 3)."""
    return frames.gather(1, order[:, :, None, None].expand_as(frames))
