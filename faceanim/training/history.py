"""The curves of a run: one row every few steps, as CSV."""

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from faceanim.tables import atomic_path


@dataclass
class History:
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

    def last(self) -> dict[str, float]:
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
