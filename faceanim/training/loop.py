"""The loop that both trainings share: steps, curves, checkpoints."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from torch import Tensor
from torch.utils.data import Dataset

from faceanim.config import TrainAnimationConfig, TrainSuperResolutionConfig
from faceanim.errors import FaceanimError
from faceanim.training.checkpoint import Checkpoint
from faceanim.training.history import History
from faceanim.training.losses import NonFiniteLossError
from faceanim.training.seed import seed_step

Batch_contra = TypeVar("Batch_contra", contravariant=True)
Batch = TypeVar("Batch")
OnStep = Callable[[int, dict[str, float]], None]


class Trainer(Protocol[Batch_contra]):
    """Networks and their optimisers."""

    def step(self, batch: Batch_contra) -> dict[str, Tensor]:
        """Train on a batch and give the losses; raises NonFiniteLossError."""

    def rates(self) -> dict[str, float | str]:
        """What the optimiser is doing, for the curves."""

    def state(self) -> dict[str, Any]:
        """Everything that a step changes; what is random depends on the step's number alone."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a state."""


def fit(
    trainer: Trainer[Batch],
    batches: Dataset[Batch],
    config: TrainAnimationConfig | TrainSuperResolutionConfig,
    checkpoint: Checkpoint,
    history: Path,
    on_step: OnStep,
) -> dict[str, float]:
    """Train for `config.steps` steps, going on from the checkpoint if there is one; write the curves.

    The checkpoint is left for the caller to remove, once the model is written.

    Args:
        trainer: trained in place.
        batches: the batch of each step, counted from 1.
        config: names the seed, the steps and how often to log and to save.
        checkpoint: where the state of an unfinished run is kept.
        history: CSV to write the curves to.
        on_step: called after each step with its number and its losses.

    Returns:
        The last row of the curves.

    Raises:
        FaceanimError: a loss is no longer finite.
    """
    curves = History(config.log_every)
    first = 1
    if saved := checkpoint.load():
        trainer.load_state(saved["trainer"])
        curves.restore(saved["history"])
        first = saved["step"] + 1
    for step in range(first, config.steps + 1):
        seed_step(config.seed, step)
        try:
            losses = trainer.step(batches[step])
        except NonFiniteLossError as error:
            raise FaceanimError(f"step {step}: {error}; lower the learning rate or sgd_lr_cap") from None
        on_step(step, curves.add(step, losses, **trainer.rates()))
        if step % config.checkpoint_every == 0:
            checkpoint.save({"step": step, "trainer": trainer.state(), "history": curves.state()})
    curves.write(history)
    return curves.last()
