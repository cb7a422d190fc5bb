"""Monitoring of a training while it runs: curves, throughput, and reports to the terminal and a logger."""

import csv
import math
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from faceanim.errors import FaceanimError
from faceanim.progress import OpenLogger, RunLogger
from faceanim.tables import atomic_path

NUM_SAMPLES = 4
"""Samples drawn in the images sent to the logger."""
WINDOW = 100
"""Steps over which throughput is measured."""
MAX_DATA_WAIT = 0.2
"""Fraction of the time spent waiting for data above which a warning is printed."""
JUMP_FACTOR = 100.0
"""Ratio of a loss to its level from which on it has jumped."""
JUMP_OVER = 10.0
"""Ratio of a loss to its level below which a jump is over, so that the next one is reported."""
LEVEL_STEPS = 20
"""Steps whose median is a level of a loss."""
MIN_LEVEL_STEPS = 3
"""Steps needed for a level: the median of fewer is not robust."""
Batch = TypeVar("Batch")


class StepReport(NamedTuple):
    """Report of one step, for progress displays.

    Attributes:
        step: number of the step, counted from 1.
        total: steps of the run.
        losses: losses by name.
        rates: learning rate, and phase of SWATS.
        samples_per_s: samples per second over the last steps.
        data_wait: fraction of the time over the last steps that was spent waiting for data.
    """

    step: int
    total: int
    losses: dict[str, float]
    rates: Mapping[str, float | str]
    samples_per_s: float
    data_wait: float

    def to_line(self) -> str:
        """Format the report as one line, for the terminal."""
        losses = " ".join(f"{name} {value:.3g}" for name, value in self.losses.items())
        rates = " ".join(
            f"{name} {rate:.2g}" for name, rate in self.rates.items() if not isinstance(rate, str)
        )
        phase = f"{self.rates['phase']} " if "phase" in self.rates else ""
        return f"{losses} | {phase}{rates} | {self.samples_per_s:.1f} samples/s, {self.data_wait:.0%} waiting"


StepCallback = Callable[[StepReport], None]


@dataclass(frozen=True)
class RunContext:
    """Environment of a training; it does not affect the results.

    Attributes:
        workers: processes that may load batches, on the whole machine.
        open_logger: callable that opens the logger of curves and images.
        on_step: callable that receives the report of each step.
    """

    workers: int
    open_logger: OpenLogger
    on_step: StepCallback


@dataclass
class LossJumps:
    """Detector of jumps of a loss to at least `JUMP_FACTOR` times its level.

    The level is the lowest median of `LEVEL_STEPS` successive steps so far, which a slow rise does not raise.

    Attributes:
        name: name of the loss.
        recent: its last values, the newest last.
        level: its level; infinite before there are enough steps.
        is_up: whether the last jump is not over.
        count: number of jumps so far.
    """

    name: str
    recent: list[float] = field(default_factory=list)
    level: float = math.inf
    is_up: bool = False
    count: int = 0

    def add(self, value: float) -> bool:
        """Add the value of a step and return whether a jump starts there."""
        starts = value >= JUMP_FACTOR * self.level and not self.is_up
        self.is_up = starts or (self.is_up and value >= JUMP_OVER * self.level)
        self.count += starts
        self.recent = [*self.recent, value][-LEVEL_STEPS:]
        median = statistics.median(self.recent)
        if len(self.recent) >= MIN_LEVEL_STEPS and median > 0:
            self.level = min(self.level, median)
        return starts

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"recent": self.recent, "level": self.level, "is_up": self.is_up, "count": self.count}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.recent, self.level = list(state["recent"]), state["level"]
        self.is_up, self.count = state["is_up"], state["count"]


@dataclass
class LossHistory:
    """Curves of a run, written as CSV: one row every few steps, with the losses averaged since the last row.

    Attributes:
        log_every: steps averaged in a row.
        jumps: detector of jumps of the main loss.
        rows: rows logged so far.
        sums: sum of each loss since the last row.
    """

    log_every: int
    jumps: LossJumps
    rows: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, step: int, losses: dict[str, Tensor], **others: float | str) -> dict[str, float]:
        """Add the losses of a step and return them as numbers.

        Args:
            step: number of the step, counted from 1.
            losses: scalars by name.
            others: values logged without averaging.
        """
        values = dict(
            zip(losses, torch.stack([loss.detach() for loss in losses.values()]).tolist(), strict=True)
        )
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        if step % self.log_every == 0:
            means = {name: total / self.log_every for name, total in self.sums.items()}
            self.rows.append({"step": step} | means | others)
            self.sums = {}
        return values

    def last_row(self) -> dict[str, float]:
        """Return the numeric values of the last row."""
        row = self.rows[-1] if self.rows else {}
        return {name: value for name, value in row.items() if not isinstance(value, str)}

    def summary(self) -> dict[str, float]:
        """Return the numeric values of the last row, and the number of jumps if there were any."""
        return self.last_row() | ({"loss_jumps": self.jumps.count} if self.jumps.count else {})

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"rows": self.rows, "sums": self.sums, "jumps": self.jumps.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.rows, self.sums = list(state["rows"]), dict(state["sums"])
        self.jumps.restore(state["jumps"])

    def write(self, path: Path) -> None:
        """Write the rows as CSV."""
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[0]) if self.rows else ["step"])
            writer.writeheader()
            writer.writerows(self.rows)


class ThroughputMeter:
    """Speed of a training, and fraction of its time spent waiting for data, over the last `WINDOW` steps.

    Args:
        batch_size: samples of a step.
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self._steps: deque[tuple[float, float]] = deque(maxlen=WINDOW)

    def time_batches(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield the batches and time them; a step lasts from one request for a batch to the next."""
        while True:
            start = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            wait = time.perf_counter() - start
            yield batch
            self._steps.append((time.perf_counter() - start, wait))

    @property
    def samples_per_s(self) -> float:
        """Samples per second; 0 before the first step has ended."""
        return len(self._steps) * self.batch_size / self._sum(0) if self._steps else 0.0

    @property
    def data_wait(self) -> float:
        """Fraction of the time spent waiting for data, in [0, 1]; 0 before the first step has ended."""
        return self._sum(1) / self._sum(0) if self._steps else 0.0

    @property
    def is_starved(self) -> bool:
        """True if waiting for data exceeded `MAX_DATA_WAIT` over a whole window."""
        return len(self._steps) == WINDOW and self.data_wait > MAX_DATA_WAIT

    def _sum(self, column: int) -> float:
        return sum(step[column] for step in self._steps)


class StepReporter:
    """Reporter of every step to the curves, the logger and a callback; notable events are reported once.

    Args:
        curves: curves to add the steps to.
        meter: meter that times the batches.
        logger: logger of each new row of the curves.
        on_step: callable that receives the report of each step.
        on_event: callable that receives a line about a notable event.
        total: steps of the run.
    """

    def __init__(
        self,
        curves: LossHistory,
        meter: ThroughputMeter,
        logger: RunLogger,
        on_step: StepCallback,
        on_event: Callable[[str], None],
        total: int,
    ) -> None:
        self.curves = curves
        self.meter = meter
        self.logger = logger
        self.on_step = on_step
        self.on_event = on_event
        self.total = total
        self._warned = False
        self._phase: float | str | None = None

    def step(self, step: int, losses: dict[str, Tensor], rates: Mapping[str, float | str]) -> None:
        """Report a step with its losses, which are scalars."""
        values = self.curves.add(step, losses, **rates)
        self._report_jump(step, values)
        self.on_step(
            StepReport(step, self.total, values, rates, self.meter.samples_per_s, self.meter.data_wait)
        )
        if self.curves.rows and self.curves.rows[-1]["step"] == step:
            row = self.curves.last_row() | {
                "samples_per_s": self.meter.samples_per_s,
                "waiting_for_data": self.meter.data_wait,
                "loss_jumps": self.curves.jumps.count,
            }
            self.logger.log_metrics(step, {name: value for name, value in row.items() if name != "step"})
        phase = rates.get("phase")
        if self._phase not in (None, phase):
            self.on_event(
                f"SWATS switched to {phase} at step {step}, with the learned rate {rates['lr']:.4g}"
            )
        self._phase = phase
        if self.meter.is_starved and not self._warned:
            self._warned = True
            self.on_event(
                f"over {MAX_DATA_WAIT:.0%} of the time is spent waiting for data; raise run.workers"
            )

    def _report_jump(self, step: int, losses: Mapping[str, float]) -> None:
        jumps = self.curves.jumps
        level, value = jumps.level, losses[jumps.name]
        if jumps.add(value):
            self.on_event(
                f"step {step}: the loss {jumps.name} jumped to {value:.3g}, {value / level:.0f} times its "
                f"level of {level:.3g}; lower the learning rate if it stays high or jumps again"
            )


class StoppedError(FaceanimError):
    """Error raised when the user stops a run, which can be resumed."""


@contextmanager
def closing_logger(logger: RunLogger) -> Iterator[None]:
    """Close the logger at the end of the block, with the status of the run."""
    try:
        yield
    except StoppedError:
        logger.close("KILLED")
        raise
    except BaseException:
        logger.close("FAILED")
        raise
    logger.close("FINISHED")


def print_line(line: str) -> None:
    """Print a line to stderr; a live progress bar stays below it."""
    print(line, file=sys.stderr, flush=True)
