"""Stage `sample` (sample/dvc.yaml): render the videos of the embedded sample."""

from pathlib import Path
from typing import Annotated

import typer

from faceanim.progress import show_progress
from faceanim.synthetic import list_videos, render_sample
from stages.common import run_stage

WORKERS = 2
"""Processes; the output does not depend on them."""


def main(out: Annotated[Path, typer.Argument(help="Folder to write `<person>/<name>.mp4` to.")]) -> None:
    """Render the sample."""
    total = len(list_videos())
    with show_progress("sample") as on_progress:
        done = iter(range(1, total + 1))
        render_sample(out, lambda name: on_progress(next(done), total, name), workers=WORKERS)


if __name__ == "__main__":
    run_stage(main)
