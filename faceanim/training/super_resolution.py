"""Training of the super-resolution network on degraded crops (section 3.2, eq. 7)."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from lightning_fabric import Fabric
from torch import Tensor

from faceanim.config import TrainSuperResolutionConfig
from faceanim.data.dataset import CropFrames, FrameBatches
from faceanim.models.build import build_super_resolution
from faceanim.models.storage import save_super_resolution
from faceanim.training.checkpoint import checkpoint_for
from faceanim.training.loop import OnStep, fit
from faceanim.training.losses import require_finite
from faceanim.training.seed import deterministic, seed_step


def train_super_resolution(
    config: TrainSuperResolutionConfig,
    crops: Path,
    out: Path,
    history: Path,
    checkpoints: Path,
    on_step: OnStep,
) -> dict[str, float]:
    """Train on the crops of the `train` split, going on from a checkpoint of the same run if there is one.

    The crops as stored are what is to be restored; see `degrade` for the input.

    Args:
        config: the stage's parameters.
        crops: crops.parquet.
        out: folder to write the model to.
        history: CSV to write the curves to.
        checkpoints: folder for the state of an unfinished run.
        on_step: called after each step with its number, from 1, and its losses.

    Returns:
        The last row of the curves.

    Raises:
        FaceanimError: no usable crops, or a loss that is no longer finite.
    """
    deterministic()
    batches = FrameBatches(CropFrames(crops, "train"), config.batch_size, config.seed)
    checkpoint = checkpoint_for(checkpoints, "super-resolution", config, [crops])
    trainer = SuperResolutionTrainer(config)
    last = fit(trainer, batches, config, checkpoint, history, on_step)
    save_super_resolution(trainer.model, config.model, out)
    checkpoint.remove()
    return last


class SuperResolutionTrainer:
    """The network, its optimiser and one step."""

    def __init__(self, config: TrainSuperResolutionConfig) -> None:
        self.config = config
        self.fabric = Fabric(accelerator="auto", devices=1)
        seed_step(config.seed, 0)
        self.model = build_super_resolution(config.model)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr)
        self.enlarge, self.fabric_optimizer = self.fabric.setup(self.model, self.optimizer)

    def step(self, batch: tuple[Tensor]) -> dict[str, Tensor]:
        """Train on frames (B, 3, H, W), RGB in [0, 1], degraded here; give the loss, eq. 7."""
        (wanted,) = self.fabric.to_device(batch)
        loss = F.l1_loss(self.enlarge(degrade(wanted, self.config)), wanted)
        require_finite({"l1": loss})
        self.fabric_optimizer.zero_grad()
        self.fabric.backward(loss)
        self.fabric_optimizer.step()
        return {"l1": loss}

    def rates(self) -> dict[str, float | str]:
        """The rate in use, for the curves."""
        return {"lr": self.config.lr}

    def state(self) -> dict[str, Any]:
        """Everything that a step changes, for a checkpoint."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


def degrade(image: Tensor, config: TrainSuperResolutionConfig) -> Tensor:
    """What the animated frames suffer from: area-downscaled, then blurred and noisy to a random degree.

    Args:
        image: (B, 3, H, W) in [0, 1], sides multiples of the factor.
        config: names the factor and the largest blur and noise.

    Returns:
        (B, 3, H / factor, W / factor), in [0, 1].
    """
    batch, device = len(image), image.device
    small = F.avg_pool2d(image, config.model.factor)
    if config.blur_sigma > 0:
        # Not quite 0, which would divide by it; a Gaussian this narrow leaves the image as it is.
        sigma = (config.blur_sigma * torch.rand(batch, 1, device=device)).clamp(min=0.05)
        small = gaussian_blur2d(small, (7, 7), sigma.expand(batch, 2), border_type="replicate")
    level = config.noise * torch.rand(batch, 1, 1, 1, device=device)
    return (small + level * torch.randn_like(small)).clamp(0, 1)
