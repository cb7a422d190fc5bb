"""What a run is called and tagged, so that last Tuesday's is found: its day, its profile, its code."""

import os
import subprocess
from datetime import datetime
from pathlib import Path

from faceanim.config import load_params
from faceanim.errors import FaceanimError

CUSTOM = "custom"
"""Stands for parameters that are no shipped profile."""


def git_revision() -> str:
    """The commit of the working tree, with `+changes` when tracked files differ from it; or `none`."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "none"


def profile_name(params: Path = Path("params.yaml"), profiles: Path = Path("profiles")) -> str:
    """The shipped profile that the parameters are; CUSTOM where they are none, `invalid` if unreadable."""
    try:
        used = load_params(params)
        shipped = {path.stem: load_params(path) for path in sorted(profiles.glob("*.yaml"))}
    except FaceanimError:
        return "invalid"
    return next((name for name, values in shipped.items() if values == used), CUSTOM)


def run_tags() -> list[str]:
    """Tags of a run of Prefect: the code, the parameters, and the DVC experiment if it is one."""
    revision, _, changes = git_revision().partition("+")
    tags = [f"git:{revision[:10]}{'+' if changes else ''}", f"profile:{profile_name()}"]
    if experiment := os.environ.get("DVC_EXP_NAME"):
        tags.append(f"experiment:{experiment}")
    return tags


def day() -> str:
    """What every run's name has: when it began, such as `Tue 2026-11-24 13:40`."""
    return f"{datetime.now().astimezone():%a %Y-%m-%d %H:%M}"
