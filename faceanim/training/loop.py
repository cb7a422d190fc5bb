"""The loop that both trainings share: steps, curves, checkpoints."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from faceanim.config import TrainAnimationConfig, TrainSuperResolutionConfig
from faceanim.datasets.frames import BatchDataset
from faceanim.errors import FaceanimError
from faceanim.media.frames import Frame
from faceanim.progress import NullLogger, RunLogger
from faceanim.training.checkpoint import Checkpoints
from faceanim.training.engine import Engine, seed_step
from faceanim.training.loader import catch_interrupts, count_workers, load_batches
from faceanim.training.losses import NonFiniteLossError
from faceanim.training.monitoring import (
    LossHistory,
    RunContext,
    StepReporter,
    StoppedError,
    ThroughputMeter,
    closing_logger,
    print_line,
)

Batch = TypeVar("Batch", bound=tuple[Tensor, ...])
Batch_contra = TypeVar("Batch_contra", contravariant=True, bound=tuple[Tensor, ...])
SAMPLES_STEP = 0
"""The batch that pictures are drawn of; no step trains on it."""


class Trainer(Protocol[Batch_contra]):
    """Networks and their optimisers."""

    engine: Engine

    def step(self, batch: Batch_contra) -> dict[str, Tensor]:
        """Train on a batch and give the losses; raises NonFiniteLossError."""

    def current_rates(self) -> dict[str, float | str]:
        """What the optimiser is doing, for the curves."""

    def draw_samples(self, batch: Batch_contra) -> Frame:
        """What the networks make of a few samples of a batch, (H, W, 3)."""

    def stateful_parts(self) -> dict[str, Any]:
        """What a step changes, each with a state_dict; what is random depends on the step's number alone."""


def fit(
    trainer: Trainer[Batch],
    batches: BatchDataset[Batch],
    config: TrainAnimationConfig | TrainSuperResolutionConfig,
    checkpoints: Checkpoints,
    history: Path,
    context: RunContext,
) -> dict[str, float]:
    """Train for `config.steps` steps, going on from the last checkpoint if there is one; write the curves.

    The checkpoints are left for the caller to remove, once the model is written.

    Args:
        trainer: trained in place.
        batches: the batch of each step, counted from 1.
        config: names the seed, the steps and how often to log and to save.
        checkpoints: where the state of an unfinished run is kept.
        history: CSV to write the curves to.
        context: who reads the batches, and who is told.

    Returns:
        The last row of the curves.

    Raises:
        FaceanimError: a loss is no longer finite, the memory is too small, or the run was stopped.
    """
    engine, settings = trainer.engine, config.engine
    curves = LossHistory(settings.log_every)
    done, run_id = restore(trainer, curves, checkpoints)
    logger: RunLogger = context.open_logger(run_id) if engine.is_main else NullLogger()
    meter = ThroughputMeter(config.batch_size)
    reporter = StepReporter(
        curves, meter, logger, context.on_step if engine.is_main else lambda _: None, config.steps
    )
    steps = range(done + 1, config.steps + 1)
    workers = count_workers(context.workers, engine.local_processes)
    ready = load_batches(batches, steps, workers, pin=engine.on_gpu)
    with closing_logger(logger), catch_interrupts() as interrupted, closing(ready):
        feed = meter.time_batches(ready)
        for step in steps:
            seed_step(config.seed, step, engine.rank)
            with friendly_errors(step, batches, checkpoints):
                losses = trainer.step(next(feed))
            reporter.step(step, losses, trainer.current_rates())
            stop = engine.any_process(interrupted())
            if engine.is_main and step % settings.pictures_every == 0:
                logger.log_image(step, "samples", trainer.draw_samples(batches[SAMPLES_STEP]))
            if engine.is_main and (stop or step % settings.checkpoint_every == 0):
                saved = {
                    "trainer": collect_state(trainer),
                    "history": curves.state(),
                    "run_id": logger.run_id,
                }
                checkpoints.save(step, {"step": step} | saved)
            if stop:
                raise StoppedError(
                    f"stopped at step {step}; the checkpoint is saved, run the same command to go on"
                )
        if engine.is_main:
            curves.write(history)
    return curves.last_row()


def restore(trainer: Trainer[Batch], curves: LossHistory, checkpoints: Checkpoints) -> tuple[int, str | None]:
    """Go on from the last checkpoint that can be read.

    Returns:
        The steps that are done, and the id of the logger's run.
    """
    engine = trainer.engine
    # The main process reads, for the others may have other disks.
    saved = engine.fabric.broadcast(checkpoints.load() if engine.is_main else None)
    if saved is None:
        return 0, None
    for name, part in trainer.stateful_parts().items():
        part.load_state_dict(saved["trainer"][name])
    curves.restore(saved["history"])
    if engine.is_main:
        print_line(f"going on from step {saved['step']}")
    return saved["step"], saved["run_id"]


def collect_state(trainer: Trainer[Batch]) -> dict[str, Any]:
    """What `resume` needs of a trainer."""
    return {name: part.state_dict() for name, part in trainer.stateful_parts().items()}


@contextmanager
def friendly_errors(step: int, batches: BatchDataset[Batch], checkpoints: Checkpoints) -> Iterator[None]:
    """Say in one line what ended a step that the user can mend."""
    try:
        yield
    except NonFiniteLossError as error:
        samples = ", ".join(batches.describe_samples(step))
        raise FaceanimError(f"step {step}: {error}, on {samples}; lower the learning rate") from None
    except (RuntimeError, MemoryError) as error:
        newest = checkpoints.latest_step()
        kept = "no checkpoint was saved yet" if newest is None else f"the checkpoint of step {newest} is kept"
        if is_out_of_memory(error):
            raise FaceanimError(
                f"step {step}: out of memory; lower batch_size or the model's sizes, raise "
                f"engine.accumulate_grad_batches or set engine.precision to bf16; {kept}"
            ) from None
        if "DataLoader worker" in str(error):
            raise FaceanimError(
                f"step {step}: a process that reads batches was killed, perhaps for its memory; lower "
                f"run.workers; {kept}"
            ) from None
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Whether the GPU's memory or the machine's did not suffice."""
    texts = ("can't allocate memory", "not enough memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        text in str(error) for text in texts
    )
