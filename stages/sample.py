"""Stage `sample` (sample/dvc.yaml): render the embedded sample's videos."""

from pathlib import Path

from faceanim.progress import progress
from faceanim.synthetic import make_sample, videos
from stages.common import start


def main(out: Path) -> None:
    """Write the sample's videos to `<out>/<person>/<name>.mp4`."""
    total = len(videos())
    with progress("sample") as on_progress:
        done = iter(range(1, total + 1))
        make_sample(out, on_video=lambda name: on_progress(next(done), total, name))


if __name__ == "__main__":
    start(main)
