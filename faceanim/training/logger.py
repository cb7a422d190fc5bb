"""Where a training tells of itself while it runs; the curves' CSV is written without it."""

from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Status = Literal["FINISHED", "FAILED", "KILLED"]


class RunLogger(Protocol):
    """Takes what a run has to tell; never raises, for no training may end by it."""

    run_id: str | None
    """What a resumed run is continued by."""

    def params(self, values: dict[str, Any]) -> None:
        """The run's parameters, nested as they may be."""

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Figures of a step."""

    def picture(self, step: int, name: str, picture: NDArray[np.uint8]) -> None:
        """A picture of a step, (H, W, 3), RGB."""

    def close(self, status: Status) -> None:
        """The run is over, for now."""


OpenLogger = Callable[[str | None], RunLogger]
"""Opens the logger of a new run, or of the run of that id."""


class NullLogger:
    """Keeps everything to itself."""

    run_id: str | None = None

    def params(self, values: dict[str, Any]) -> None:
        """Nothing."""

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Nothing."""

    def picture(self, step: int, name: str, picture: NDArray[np.uint8]) -> None:
        """Nothing."""

    def close(self, status: Status) -> None:
        """Nothing."""
