"""Training of the super-resolution network on degraded crops (section 3.2, eq. 7)."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from torch import Tensor

from faceanim.config import TrainSuperResolutionConfig
from faceanim.data.dataset import CropFrames, FrameBatches
from faceanim.data.pictures import Frame
from faceanim.models.build import build_super_resolution
from faceanim.models.storage import save_super_resolution
from faceanim.training.checkpoint import checkpoints_for
from faceanim.training.ema import WeightAverage
from faceanim.training.engine import Engine
from faceanim.training.loop import fit
from faceanim.training.losses import require_finite
from faceanim.training.pictures import super_resolution_rows
from faceanim.training.report import Surroundings
from faceanim.training.seed import deterministic, seed_step


def train_super_resolution(
    config: TrainSuperResolutionConfig,
    crops: Path,
    out: Path,
    history: Path,
    checkpoints: Path,
    around: Surroundings,
) -> dict[str, float]:
    """Train on the crops of the `train` split, going on from a checkpoint of the same run if there is one.

    The crops as stored are what is to be restored; see `degrade` for the input.

    Args:
        config: the stage's parameters.
        crops: crops.parquet.
        out: folder to write the model to.
        history: CSV to write the curves to.
        checkpoints: folder for the state of an unfinished run.
        around: who reads the batches, and who is told.

    Returns:
        The last row of the curves.

    Raises:
        FaceanimError: no usable crops, a batch that can't be divided, or one of `fit`'s.
    """
    deterministic()
    trainer = SuperResolutionTrainer(config)
    engine = trainer.engine
    frames = CropFrames(crops, "train")
    batches = FrameBatches(frames, config.batch_size, config.seed, engine.rank, engine.processes)
    saved = checkpoints_for(checkpoints, "super-resolution", config, [crops])
    last = fit(trainer, batches, config, saved, history, around)
    if engine.main:
        save_super_resolution(trainer.average.result, config.model, out)
        saved.remove()
    return last


class SuperResolutionTrainer:
    """The network, its optimiser and one step."""

    def __init__(self, config: TrainSuperResolutionConfig) -> None:
        self.config = config
        self.engine = Engine(config.engine, config.batch_size)
        seed_step(config.seed, 0)
        self.model = build_super_resolution(config.model)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr)
        self.enlarge, self.fabric_optimizer = self.engine.setup(self.model, self.optimizer)
        self.average = WeightAverage(self.model, config.engine.ema_decay)

    def step(self, batch: tuple[Tensor]) -> dict[str, Tensor]:
        """Train on frames (B, 3, H, W), RGB in [0, 1], degraded here; give the loss, eq. 7."""
        losses = self.engine.accumulate(batch, (self.enlarge,), self._gradients)
        self.engine.update(self.model, self.fabric_optimizer)
        self.average.update()
        return losses

    def _gradients(self, wanted: Tensor) -> dict[str, Tensor]:
        losses = {"l1": F.l1_loss(self.enlarge(degrade(wanted, self.config)), wanted)}
        require_finite(self.engine.mean(losses))
        self.engine.backward(losses["l1"])
        return losses

    def picture(self, batch: tuple[Tensor]) -> Frame:
        """The enlarged input, the output and what was wanted, for a few samples of a batch."""
        (wanted,) = self.engine.fabric.to_device(batch)
        return super_resolution_rows(self.average.result, degrade(wanted, self.config), wanted)

    def rates(self) -> dict[str, float | str]:
        """The rate in use, for the curves."""
        return {"lr": self.config.lr}

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer, "average": self.average}

    def state(self) -> dict[str, Any]:
        """Everything that a step changes, for a checkpoint."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])


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
