"""Stage `sample` (sample/dvc.yaml): render the embedded sample's videos.

python -m stages.sample --out sample/videos
"""

import argparse
from pathlib import Path

from rich.progress import Progress

from faceanim.sample import make_sample, videos


def main() -> None:
    """Write the sample's videos, with a progress bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write <person>/<name>.mp4 to")
    out = parser.parse_args().out
    with Progress() as progress:
        task = progress.add_task("rendering the sample", total=len(videos()))
        make_sample(out, on_video=lambda _: progress.advance(task))


if __name__ == "__main__":
    main()
