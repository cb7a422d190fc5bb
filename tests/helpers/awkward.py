"""Inputs that the product once got wrong, made by the script beside the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from faceanim.synthetic import render_sample
from tests.helpers.paths import SHARED

MAKE = SHARED / "awkward" / "make.sh"
SAMPLE = "p01/b"
"""Video of the rendered sample from which the inputs are made."""


def find_obstacle() -> str | None:
    """Return the reason why this machine cannot make the inputs, or None if it can."""
    if not MAKE.is_file():
        return "../shared/awkward is not beside the checkout"
    missing = [program for program in ("bash", "ffmpeg") if shutil.which(program) is None]
    if missing:
        return f"{' and '.join(missing)} not installed"
    abilities = subprocess.run(
        "ffmpeg -v quiet -filters; ffmpeg -v quiet -encoders", shell=True, capture_output=True, text=True
    ).stdout
    lacking = [name for name in ("zscale", "libx264", "libx265") if f" {name} " not in abilities]
    return f"ffmpeg has no {' and no '.join(lacking)}" if lacking else None


def make_awkward(folder: Path) -> None:
    """Make the inputs; `folder` appears only when all of them are there."""
    draft = folder.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    render_sample(draft, names=[SAMPLE])
    # The script calls a python3 that has Pillow.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", str(MAKE), str(draft / f"{SAMPLE}.mp4"), str(draft)]
    subprocess.run(command, check=True, env=os.environ | {"PATH": path})
    draft.rename(folder)
