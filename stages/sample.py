"""Stage `sample` (sample/dvc.yaml): render the embedded sample's videos."""

from pathlib import Path

from faceanim.progress import show_progress
from faceanim.synthetic import list_videos, render_sample
from stages.common import run_stage


def main(out: Path) -> None:
    """Write the sample's videos to `<out>/<person>/<name>.mp4`."""
    total = len(list_videos())
    with show_progress("sample") as on_progress:
        done = iter(range(1, total + 1))
        render_sample(out, on_video=lambda name: on_progress(next(done), total, name))


if __name__ == "__main__":
    run_stage(main)
