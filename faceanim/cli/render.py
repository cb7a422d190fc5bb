"""The command `faceanim render`, which writes videos of people who do not exist."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from faceanim.cli.options import Overwrite
from faceanim.errors import wrap_disk_errors


def render(
    out: Annotated[Path, typer.Option(help="Folder to write `<person>/<take>.mp4` and takes.parquet to.")],
    people: Annotated[int, typer.Option(min=1, max=99_999, help="Number of people.")] = 10,
    takes: Annotated[int, typer.Option(min=1, max=26, help="Takes of each person.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed: another one gives other people.")] = 0,
    lines: Annotated[int, typer.Option(min=32, help="Shorter side of the frames, in pixels, even.")] = 360,
    seconds: Annotated[tuple[float, float], typer.Option(help="Shortest and longest duration of a take.")] = (
        2.0,
        4.0,
    ),
    framing: Annotated[
        Literal["head", "shoulders", "both"],
        typer.Option(
            help="Part of a person that frames show: about a crop of the head, or the shoulders too."
        ),
    ] = "head",
    truth: Annotated[
        bool,
        typer.Option(
            "--truth",
            help="Write the truth about each take beside it: landmarks, masks, pose, gaze, actions.",
        ),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes; by default one for each core.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Render talking heads of people who do not exist, as a folder of videos that the pipeline reads.

    An interrupted command resumes when it is run again, and a folder is extended by running it with more
    people or takes. The same options give the same files.
    """
    from faceanim.progress import show_progress
    from faceanim.synthetic.folder import RenderSettings, render_folder

    settings = RenderSettings(seed, lines, seconds, framing, truth)
    with wrap_disk_errors(), show_progress("render") as on_progress:
        count = render_folder(
            out, people, takes, settings, workers or os.cpu_count() or 1, overwrite, on_progress
        )
    kept = people * takes - count
    print(f"{out}: {count} takes rendered" + (f", {kept} were there already" if kept else ""))
