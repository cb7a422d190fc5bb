"""What a training tells while it runs: to the curves, to the terminal and to a logger."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from faceanim.errors import FaceanimError
from faceanim.training.history import History
from faceanim.training.logger import OpenLogger, RunLogger
from faceanim.training.throughput import LARGE_WAIT, Meter


class Report(NamedTuple):
    """One step, for those who watch.

    Attributes:
        step: its number, from 1.
        total: steps of the run.
        losses: by name.
        rates: what the optimiser is doing.
        samples_per_s: over the last steps.
        waiting: share of the time, likewise, that was spent waiting for data.
    """

    step: int
    total: int
    losses: dict[str, float]
    rates: Mapping[str, float | str]
    samples_per_s: float
    waiting: float

    def note(self) -> str:
        """In a line, for the terminal."""
        losses = " ".join(f"{name} {value:.3g}" for name, value in self.losses.items())
        rates = " ".join(
            f"{name} {rate:.2g}" for name, rate in self.rates.items() if not isinstance(rate, str)
        )
        phase = f"{self.rates['phase']} " if "phase" in self.rates else ""
        return f"{losses} | {phase}{rates} | {self.samples_per_s:.1f} samples/s, {self.waiting:.0%} waiting"


OnStep = Callable[[Report], None]


@dataclass(frozen=True)
class Surroundings:
    """What a training finds on its machine; nothing here changes what it writes.

    Attributes:
        workers: processes that may read batches, on the whole machine.
        open_logger: opens what the curves and pictures are sent to.
        on_step: called after each step.
    """

    workers: int
    open_logger: OpenLogger
    on_step: OnStep


class Reporter:
    """Tells of each step, and once of what is worth a line.

    Args:
        curves: what was logged so far.
        meter: watches the batches.
        logger: gets each new row of the curves.
        on_step: gets every step.
        total: steps of the run.
    """

    def __init__(self, curves: History, meter: Meter, logger: RunLogger, on_step: OnStep, total: int) -> None:
        self.curves = curves
        self.meter = meter
        self.logger = logger
        self.on_step = on_step
        self.total = total
        self._warned = False
        self._phase: float | str | None = None

    def step(self, step: int, losses: dict[str, Tensor], rates: Mapping[str, float | str]) -> None:
        """Take a step's losses, scalars."""
        values = self.curves.add(step, losses, **rates)
        self.on_step(Report(step, self.total, values, rates, self.meter.samples_per_s, self.meter.waiting))
        if self.curves.rows and self.curves.rows[-1]["step"] == step:
            row = self.curves.last() | {
                "samples_per_s": self.meter.samples_per_s,
                "waiting_for_data": self.meter.waiting,
            }
            self.logger.metrics(step, {name: value for name, value in row.items() if name != "step"})
        phase = rates.get("phase")
        if self._phase not in (None, phase):
            say(f"SWATS has switched to {phase} at step {step}, at the learned rate {rates['lr']:.4g}")
        self._phase = phase
        if self.meter.starved and not self._warned:
            self._warned = True
            say(f"over {LARGE_WAIT:.0%} of the time goes into waiting for data: raise run.workers")


def say(line: str) -> None:
    """Print a line; a live bar stays below it."""
    print(line, file=sys.stderr, flush=True)


class StoppedError(FaceanimError):
    """The user stopped the run, which can go on."""


@contextmanager
def concluding(logger: RunLogger) -> Iterator[None]:
    """Close the logger when the block ends, and say how it ended."""
    try:
        yield
    except StoppedError:
        logger.close("KILLED")
        raise
    except BaseException:
        logger.close("FAILED")
        raise
    logger.close("FINISHED")
