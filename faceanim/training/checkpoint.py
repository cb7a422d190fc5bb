"""Checkpoints: a run that was stopped goes on where it was, bit for bit, if its inputs are the same.

They lie outside the stage's outputs, which DVC deletes before it runs the stage.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from faceanim.config import Section
from faceanim.models.pretrained import load_state
from faceanim.tables import atomic_path

VERSION = 1
"""Part of the key: raise it when a checkpoint's content changes its meaning."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a run's state is kept while it trains.

    Attributes:
        path: the file; its name is a hash of the configuration and the data.
    """

    path: Path

    def save(self, state: dict[str, Any]) -> None:
        """Write the state (tensors and plain values), atomically."""
        with atomic_path(self.path) as temporary:
            torch.save(state, temporary)

    def load(self) -> dict[str, Any] | None:
        """The state last saved, or None."""
        return load_state(self.path) if self.path.is_file() else None

    def remove(self) -> None:
        """Forget the run, which is complete, and the abandoned ones of its kind."""
        kind = self.path.stem.rpartition("-")[0]
        for path in self.path.parent.glob(f"{kind}-*.pt"):
            path.unlink()


def checkpoint_for(folder: Path, kind: str, config: Section, tables: Iterable[Path]) -> Checkpoint:
    """The checkpoint of a run.

    Args:
        folder: where checkpoints are kept.
        kind: what is trained.
        config: the run's configuration.
        tables: the data's tables; they hold the length of every frame, so other frames make another key.
    """
    digest = hashlib.sha256(f"{VERSION} {torch.__version__} {kind} {config.model_dump_json()}".encode())
    for table in tables:
        digest.update(hashlib.sha256(table.read_bytes()).digest())
    return Checkpoint(folder / f"{kind}-{digest.hexdigest()[:16]}.pt")
