"""Checkpoints: a run that was stopped goes on where it was, bit for bit, if its inputs are the same.

They lie outside the stage's outputs, which DVC deletes before it runs the stage.
"""

import hashlib
import shutil
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from faceanim.config import TrainAnimationConfig, TrainSuperResolutionConfig
from faceanim.errors import FaceanimError
from faceanim.models.pretrained import first_line, load_state
from faceanim.tables import atomic_path

VERSION = 2
"""Part of the key: raise it when a checkpoint's content changes its meaning."""

CHANGEABLE = {"engine": {"pictures_every", "checkpoint_every", "keep_checkpoints"}}
"""What may be changed in the middle of a run."""


@dataclass(frozen=True)
class Checkpoints:
    """Where a run's state is kept while it trains.

    Attributes:
        folder: of this kind of training.
        key: a hash of the configuration and the data.
        keep: how many are kept.
    """

    folder: Path
    key: str
    keep: int

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state after a step (tensors and plain values), atomically, and drop what is too old.

        Raises:
            FaceanimError: it can't be written.
        """
        try:
            with atomic_path(self.folder / f"{self.key}-{step:09}.pt") as temporary:
                torch.save(state, temporary)
        except (OSError, RuntimeError) as error:  # a full disk is the one or the other
            raise FaceanimError(
                f"the checkpoint of step {step} can't be written to {self.folder}: {first_line(error)}"
            ) from None
        for path in self._saved()[: -self.keep]:
            path.unlink()

    def load(self) -> dict[str, Any] | None:
        """The last state that can be read, or None; says which ones can't."""
        for path in self.folder.glob(".*.tmp.pt"):  # half-written when the run was killed
            path.unlink()
        for path in reversed(self._saved()):
            try:
                check_archive(path)
                return load_state(path)
            except FaceanimError as error:
                print(f"{error}; it is passed over", file=sys.stderr)
        return None

    def latest_step(self) -> int | None:
        """The step of the last one."""
        saved = self._saved()
        return int(saved[-1].stem.rpartition("-")[2]) if saved else None

    def remove(self) -> None:
        """Forget the run, which is complete, and the abandoned ones of its kind."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _saved(self) -> list[Path]:
        return sorted(self.folder.glob(f"{self.key}-*.pt"))


def check_archive(path: Path) -> None:
    """See that a file written by `torch.save` is as it was written, which `torch.load` does not.

    Raises:
        FaceanimError: it is not.
    """
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
    except (OSError, zipfile.BadZipFile) as error:
        damaged = str(error)
    if damaged:
        raise FaceanimError(f"the checkpoint {path} is damaged ({damaged})")


def open_checkpoints(
    folder: Path,
    kind: str,
    config: TrainAnimationConfig | TrainSuperResolutionConfig,
    tables: Iterable[Path],
) -> Checkpoints:
    """The checkpoints of a run.

    Args:
        folder: where checkpoints are kept.
        kind: what is trained.
        config: the run's configuration.
        tables: the data's tables; they hold the length of every frame, so other frames make another key.
    """
    decisive = config.model_dump_json(exclude=CHANGEABLE)
    digest = hashlib.sha256(f"{VERSION} {torch.__version__} {kind} {decisive}".encode())
    for table in tables:
        digest.update(hashlib.sha256(table.read_bytes()).digest())
    return Checkpoints(folder / kind, digest.hexdigest()[:16], config.engine.keep_checkpoints)
