"""Checkpoints, from which an interrupted run resumes bit for bit if its inputs are the same.

They are kept outside the stage's outputs, which DVC deletes before it runs the stage.
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

VERSION = 3
"""Part of the key; to be raised when the content of a checkpoint changes its meaning."""

CHANGEABLE = {"engine": {"pictures_every", "checkpoint_every", "keep_checkpoints"}}
"""Parameters that may change in the middle of a run."""


@dataclass(frozen=True)
class Checkpoints:
    """Saved states of a run in progress.

    Attributes:
        folder: folder for this kind of training.
        key: hash of the configuration and the data.
        keep: number of checkpoints to keep.
    """

    folder: Path
    key: str
    keep: int

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Save the state after a step (tensors and plain values) atomically, and delete old checkpoints.

        Raises:
            FaceanimError: the checkpoint cannot be written.
        """
        try:
            with atomic_path(self.folder / f"{self.key}-{step:09}.pt") as temporary:
                torch.save(state, temporary)
        except (OSError, RuntimeError) as error:  # a full disk raises either
            raise FaceanimError(
                f"cannot write the checkpoint of step {step} to {self.folder}: {first_line(error)}"
            ) from None
        for path in self._saved()[: -self.keep]:
            path.unlink()

    def load(self) -> dict[str, Any] | None:
        """Load the newest readable state, or return None; unreadable checkpoints are reported."""
        for path in self.folder.glob(".*.tmp.pt"):  # left half-written by a killed run
            path.unlink()
        for path in reversed(self._saved()):
            try:
                check_archive(path)
                return load_state(path)
            except FaceanimError as error:
                print(f"{error}; skipping this checkpoint", file=sys.stderr)
        return None

    def latest_step(self) -> int | None:
        """Return the step of the newest checkpoint, or None without one."""
        saved = self._saved()
        return int(saved[-1].stem.rpartition("-")[2]) if saved else None

    def remove(self) -> None:
        """Delete the checkpoints of this completed run and of abandoned runs of its kind."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _saved(self) -> list[Path]:
        return sorted(self.folder.glob(f"{self.key}-*.pt"))


def check_archive(path: Path) -> None:
    """Verify the checksums of a file written by `torch.save`, which `torch.load` ignores.

    Raises:
        FaceanimError: the file is damaged.
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
    """Open the checkpoints of a run, which its configuration and data identify.

    Args:
        folder: folder for checkpoints of all kinds.
        kind: kind of training; names a folder within `folder`.
        config: configuration of the run.
        tables: tables of the data; they hold the length of every frame, so that other frames change the key.
    """
    parameters = config.model_dump_json(exclude=CHANGEABLE)
    digest = hashlib.sha256(f"{VERSION} {torch.__version__} {kind} {parameters}".encode())
    for table in tables:
        digest.update(hashlib.sha256(table.read_bytes()).digest())
    return Checkpoints(folder / kind, digest.hexdigest()[:16], config.engine.keep_checkpoints)
