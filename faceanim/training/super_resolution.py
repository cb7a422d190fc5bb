"""Training of the super-resolution network (section 3.2, eq. 7) on what it will be given.

The paper does not say what its low-resolution faces are. Here some are crops that were degraded, and some are
what the animation model made, as all are in use: a network that has only seen crops sharpens misplaced edges
and falls behind bicubic enlargement.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from faceanim.config import TrainSuperResolutionConfig
from faceanim.data.dataset import CropFrames
from faceanim.data.restoration import Restoration, RestorationBatches
from faceanim.models.animation import AnimationModel
from faceanim.models.build import build_super_resolution
from faceanim.models.grids import shrink
from faceanim.models.keypoints import Keypoints
from faceanim.models.storage import WEIGHTS, load_animation, save_super_resolution
from faceanim.training.checkpoint import checkpoint_for
from faceanim.training.loop import OnStep, fit
from faceanim.training.losses import require_finite
from faceanim.training.seed import deterministic, seed_step

WARM_UP = 0.1
"""Share of the steps in which the learning rate rises; from there it falls to nothing along half a cosine."""
MAX_GRADIENT = 0.1
"""Largest norm of the gradient: it lets the network bear a rate three times as high as without."""


def train_super_resolution(
    config: TrainSuperResolutionConfig,
    crops: Path,
    animation: Path,
    out: Path,
    history: Path,
    checkpoints: Path,
    on_step: OnStep,
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
        on_step: called after each step with its number, from 1, and its losses.

    Returns:
        The last row of the curves.

    Raises:
        FaceanimError: no usable crops, no animation model, or a loss that is no longer finite.
    """
    deterministic()
    batches = RestorationBatches(CropFrames(crops, "train"), config)
    given, generator = [crops], None
    if config.generated_share > 0:
        generator = load_animation(animation)
        given.append(animation / WEIGHTS)
    checkpoint = checkpoint_for(checkpoints, "super-resolution", config, given)
    trainer = SuperResolutionTrainer(config, generator)
    last = fit(trainer, batches, config, checkpoint, history, on_step)
    save_super_resolution(trainer.model, config.model, out)
    checkpoint.remove()
    return last


class SuperResolutionTrainer:
    """The network, its optimiser and one step.

    Args:
        config: the stage's parameters.
        generator: the trained animation model, which stays as it is; None: no batch asks for its frames.
    """

    def __init__(self, config: TrainSuperResolutionConfig, generator: AnimationModel | None) -> None:
        self.config = config
        self.fabric = Fabric(accelerator="auto", devices=1)
        seed_step(config.seed, 0)
        self.model = build_super_resolution(config.model)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, config.lr, config.steps, pct_start=WARM_UP, cycle_momentum=False
        )
        self.enlarge, self.fabric_optimizer = self.fabric.setup(self.model, self.optimizer)
        self.generator = generator and generator.to(self.fabric.device).eval()

    def step(self, batch: Restoration) -> dict[str, Tensor]:
        """Train on a batch; give the loss, eq. 7."""
        batch = self.fabric.to_device(batch)
        generated = torch.arange(len(batch.wanted), device=self.fabric.device) < len(batch.sources)
        # Edges are restored alike in all colours; a small set's few backgrounds aren't to be learnt by heart.
        order = torch.randperm(3, device=self.fabric.device)
        restored = self.enlarge(self.given(batch)[:, order], generated)
        loss = F.l1_loss(restored, batch.wanted[:, order])
        require_finite({"l1": loss})
        self.fabric_optimizer.zero_grad()
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.enlarge, self.fabric_optimizer, max_norm=MAX_GRADIENT)
        self.fabric_optimizer.step()
        self.schedule.step()
        return {"l1": loss}

    @torch.no_grad()
    def given(self, batch: Restoration) -> Tensor:
        """What to restore the batch from: (B, 3, H / factor, W / factor) in [0, 1]."""
        if self.generator is None or not len(batch.sources):
            return batch.degraded
        size = batch.wanted.shape[-1] // self.config.model.factor
        source = shrink(batch.sources, size)
        kp_source = self.generator.detect(source)
        kp_driving = self.generator.detect(shrink(batch.wanted[: len(source)], size))
        # It knows these people, and misplaces those that it will be used on by more.
        level = self.config.keypoint_noise * torch.rand(len(source), 1, 1, device=source.device)
        value = kp_driving.value + level * torch.randn_like(kp_driving.value)
        animation = self.generator.animate(source, kp_source, Keypoints(value, kp_driving.jacobian))
        return torch.cat((animation.prediction.clamp(0, 1), batch.degraded))

    def rates(self) -> dict[str, float | str]:
        """The rate in use, for the curves."""
        return {"lr": float(self.schedule.get_last_lr()[0])}

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}

    def state(self) -> dict[str, Any]:
        """Everything that a step changes, for a checkpoint."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
