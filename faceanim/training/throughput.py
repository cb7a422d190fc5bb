"""How fast a training is, and what of its time goes into waiting for data."""

import time
from collections import deque
from collections.abc import Iterator
from typing import TypeVar

Batch = TypeVar("Batch")

WINDOW = 100
"""Steps that the figures are of."""
LARGE_WAIT = 0.2


class Meter:
    """Samples a second and the share of waiting, over the last steps.

    Args:
        samples: of a step.
    """

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self._steps: deque[tuple[float, float]] = deque(maxlen=WINDOW)

    def watch(self, batches: Iterator[Batch]) -> Iterator[Batch]:
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
    def waiting(self) -> float:
        """The share, from 0 to 1; 0 before the first step has ended."""
        return self._sum(1) / self._sum(0) if self._steps else 0.0

    @property
    def starved(self) -> bool:
        """Whether data, over a whole window, held the training up."""
        return len(self._steps) == WINDOW and self.waiting > LARGE_WAIT

    def _sum(self, column: int) -> float:
        return sum(step[column] for step in self._steps)
