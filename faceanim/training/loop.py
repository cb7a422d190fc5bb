"""The loop that both trainings share: steps, curves and checkpoints."""

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
    LossJumps,
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
"""Step whose batch the sample images show; no step trains on it."""


class Trainer(Protocol[Batch_contra]):
    """Networks and their optimizers, as `fit` uses them."""

    engine: Engine
    main_loss: str
    """Name of the loss that the main network minimizes, in the result of `step`."""

    def step(self, batch: Batch_contra) -> dict[str, Tensor]:
        """Train on a batch and return the losses; raises NonFiniteLossError."""

    def current_rates(self) -> dict[str, float | str]:
        """Return the phase and the learning rate of the optimizer, for the curves."""

    def draw_samples(self, batch: Batch_contra) -> Frame:
        """Draw the output of the networks for a few samples of a batch, (H, W, 3)."""

    def stateful_parts(self) -> dict[str, Any]:
        """Return the objects that a step changes, each with a state_dict.

        They include no random state, because that depends on the number of the step alone.
        """


def fit(
    trainer: Trainer[Batch],
    batches: BatchDataset[Batch],
    config: TrainAnimationConfig | TrainSuperResolutionConfig,
    checkpoints: Checkpoints,
    history: Path,
    context: RunContext,
) -> dict[str, float]:
    """Train for `config.steps` steps, resuming from the last checkpoint if there is one; write the curves.

    The caller removes the checkpoints, once the model is written.

    Args:
        trainer: networks and optimizers, trained in place.
        batches: dataset with one batch for each step, counted from 1.
        config: seed, number of steps, and intervals of logging and saving.
        checkpoints: saved states of the run.
        history: CSV to write the curves to.
        context: loader workers, logger and step callback.

    Returns:
        The last row of the curves; `loss_jumps` is their number if the main loss jumped.

    Raises:
        FaceanimError: a loss is not finite, memory is exhausted, or the run was stopped.
    """
    engine, settings = trainer.engine, config.engine
    curves = LossHistory(settings.log_every, LossJumps(trainer.main_loss))
    done, run_id = restore(trainer, curves, checkpoints)
    logger: RunLogger = context.open_logger(run_id) if engine.is_main else NullLogger()
    meter = ThroughputMeter(config.batch_size)
    on_step, on_event = (context.on_step, print_line) if engine.is_main else (ignore, ignore)
    reporter = StepReporter(curves, meter, logger, on_step, on_event, config.steps)
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
                save(step, trainer, curves, logger.run_id, checkpoints)
            if stop:
                raise StoppedError(
                    f"stopped at step {step}; the checkpoint is saved, run the same command to resume"
                )
        if engine.is_main:
            curves.write(history)
    return curves.summary()


def ignore(_: object) -> None:
    """Ignore a report: only the main process reports."""


def save(
    step: int, trainer: Trainer[Batch], curves: LossHistory, run_id: str | None, checkpoints: Checkpoints
) -> None:
    """Save a checkpoint after a step, for `restore`."""
    state = {"trainer": collect_state(trainer), "history": curves.state(), "run_id": run_id}
    checkpoints.save(step, {"step": step} | state)


def restore(trainer: Trainer[Batch], curves: LossHistory, checkpoints: Checkpoints) -> tuple[int, str | None]:
    """Resume from the newest readable checkpoint.

    Returns:
        The number of completed steps, and the id of the logger's run.
    """
    engine = trainer.engine
    # Only the main process reads, because the others may have other disks.
    saved = engine.fabric.broadcast(checkpoints.load() if engine.is_main else None)
    if saved is None:
        return 0, None
    for name, part in trainer.stateful_parts().items():
        part.load_state_dict(saved["trainer"][name])
    curves.restore(saved["history"])
    if engine.is_main:
        print_line(f"resuming from step {saved['step']}")
    return saved["step"], saved["run_id"]


def collect_state(trainer: Trainer[Batch]) -> dict[str, Any]:
    """Collect the state of a trainer that `restore` needs."""
    return {name: part.state_dict() for name, part in trainer.stateful_parts().items()}


@contextmanager
def friendly_errors(step: int, batches: BatchDataset[Batch], checkpoints: Checkpoints) -> Iterator[None]:
    """Convert errors of a step that the user can fix into messages of one line."""
    try:
        yield
    except NonFiniteLossError as error:
        samples = ", ".join(batches.describe_samples(step))
        raise FaceanimError(f"step {step}: {error}, on {samples}; lower the learning rate") from None
    except (RuntimeError, MemoryError) as error:
        newest = checkpoints.latest_step()
        hint = "no checkpoint was saved yet" if newest is None else f"the checkpoint of step {newest} is kept"
        if is_out_of_memory(error):
            raise FaceanimError(
                f"step {step}: out of memory; lower batch_size or the model's sizes, raise "
                f"engine.accumulate_grad_batches or set engine.precision to bf16; {hint}"
            ) from None
        if "DataLoader worker" in str(error):
            raise FaceanimError(
                f"step {step}: a loader worker was killed, perhaps for lack of memory; lower "
                f"run.workers; {hint}"
            ) from None
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Check whether an error means that the memory of the GPU or of the machine is exhausted."""
    texts = ("can't allocate memory", "not enough memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        text in str(error) for text in texts
    )
