"""What a training tells while it runs: to the curves, to the terminal and to a logger."""

import csv
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


@dataclass
class LossHistory:
    """Averages of the losses between two logged steps.

    Attributes:
        log_every: steps averaged in a row.
        rows: what is logged so far.
        sums: of each loss since the last row.
    """

    log_every: int
    rows: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, step: int, losses: dict[str, Tensor], **others: float | str) -> dict[str, float]:
        """Take a step's losses; give them as numbers.

        Args:
            step: counted from 1.
            losses: scalars.
            others: logged as they are.
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
        """The last row's numbers."""
        row = self.rows[-1] if self.rows else {}
        return {name: value for name, value in row.items() if not isinstance(value, str)}

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"rows": self.rows, "sums": self.sums}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.rows, self.sums = list(state["rows"]), dict(state["sums"])

    def write(self, path: Path) -> None:
        """Write the rows as CSV."""
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[0]) if self.rows else ["step"])
            writer.writeheader()
            writer.writerows(self.rows)


Batch = TypeVar("Batch")

NUM_SAMPLES = 4
"""Samples drawn in the images that go to the logger."""
WINDOW = 100
"""Steps that the figures are of."""
MAX_DATA_WAIT = 0.2


class ThroughputMeter:
    """Samples a second and the share of waiting, over the last steps.

    Args:
        samples: of a step.
    """

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self._steps: deque[tuple[float, float]] = deque(maxlen=WINDOW)

    def time_batches(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches, timed; what lies between two of them is a step."""
        while True:
            began = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            waited = time.perf_counter() - began
            yield batch
            self._steps.append((time.perf_counter() - began, waited))

    @property
    def samples_per_s(self) -> float:
        """0 before the first step has ended."""
        return len(self._steps) * self.samples / self._sum(0) if self._steps else 0.0

    @property
    def data_wait(self) -> float:
        """The share, from 0 to 1; 0 before the first step has ended."""
        return self._sum(1) / self._sum(0) if self._steps else 0.0

    @property
    def is_starved(self) -> bool:
        """Whether data, over a whole window, held the training up."""
        return len(self._steps) == WINDOW and self.data_wait > MAX_DATA_WAIT

    def _sum(self, column: int) -> float:
        return sum(step[column] for step in self._steps)


class StepReport(NamedTuple):
    """One step, for those who watch.

    Attributes:
        step: its number, from 1.
        total: steps of the run.
        losses: by name.
        rates: what the optimiser is doing.
        samples_per_s: over the last steps.
        data_wait: share of the time, likewise, that was spent waiting for data.
    """

    step: int
    total: int
    losses: dict[str, float]
    rates: Mapping[str, float | str]
    samples_per_s: float
    data_wait: float

    def to_line(self) -> str:
        """In a line, for the terminal."""
        losses = " ".join(f"{name} {value:.3g}" for name, value in self.losses.items())
        rates = " ".join(
            f"{name} {rate:.2g}" for name, rate in self.rates.items() if not isinstance(rate, str)
        )
        phase = f"{self.rates['phase']} " if "phase" in self.rates else ""
        return f"{losses} | {phase}{rates} | {self.samples_per_s:.1f} samples/s, {self.data_wait:.0%} waiting"


StepCallback = Callable[[StepReport], None]


@dataclass(frozen=True)
class RunContext:
    """What a training finds on its machine; nothing here changes what it writes.

    Attributes:
        workers: processes that may read batches, on the whole machine.
        open_logger: opens what the curves and pictures are sent to.
        on_step: called after each step.
    """

    workers: int
    open_logger: OpenLogger
    on_step: StepCallback


class StepReporter:
    """Tells of each step, and once of what is worth a line.

    Args:
        curves: what was logged so far.
        meter: watches the batches.
        logger: gets each new row of the curves.
        on_step: gets every step.
        total: steps of the run.
    """

    def __init__(
        self,
        curves: LossHistory,
        meter: ThroughputMeter,
        logger: RunLogger,
        on_step: StepCallback,
        total: int,
    ) -> None:
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
        self.on_step(
            StepReport(step, self.total, values, rates, self.meter.samples_per_s, self.meter.data_wait)
        )
        if self.curves.rows and self.curves.rows[-1]["step"] == step:
            row = self.curves.last_row() | {
                "samples_per_s": self.meter.samples_per_s,
                "waiting_for_data": self.meter.data_wait,
            }
            self.logger.log_metrics(step, {name: value for name, value in row.items() if name != "step"})
        phase = rates.get("phase")
        if self._phase not in (None, phase):
            print_line(f"SWATS has switched to {phase} at step {step}, at the learned rate {rates['lr']:.4g}")
        self._phase = phase
        if self.meter.is_starved and not self._warned:
            self._warned = True
            print_line(f"over {MAX_DATA_WAIT:.0%} of the time goes into waiting for data: raise run.workers")


def print_line(line: str) -> None:
    """Print a line; a live bar stays below it."""
    print(line, file=sys.stderr, flush=True)


class StoppedError(FaceanimError):
    """The user stopped the run, which can go on."""


@contextmanager
def closing_logger(logger: RunLogger) -> Iterator[None]:
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
