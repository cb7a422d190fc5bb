"""Calling DVC, which stays the truth about what is out of date."""

import os
import subprocess
import sys
from pathlib import Path

from faceanim.errors import FaceanimError


def call(*arguments: str) -> None:
    """Run a command of this environment's Python, such as `-m dvc repro`; its output goes to this process's.

    Raises:
        FaceanimError: it failed; what it printed says why.
    """
    # The stages' commands say `python`: that has to be this one, whether or not the environment is activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    done = subprocess.run([sys.executable, *arguments], check=False, env={**os.environ, "PATH": path})
    if done.returncode:
        raise FaceanimError(
            f"`{' '.join(arguments)}` failed (exit code {done.returncode}); its lines above say why"
        )


def repro(*arguments: str) -> None:
    """`dvc repro` with these arguments; see `call`."""
    call("-m", "dvc", "repro", *arguments)
