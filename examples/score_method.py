"""Score another method by the pinned protocol: here, one that copies the source image.

    python examples/score_method.py out/copied

Run it in the project's folder after `dvc repro landmarks`, and replace `predict` by another method.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from faceanim.evaluation.test_set_export import write_ffv1
from faceanim.media.frames import Frame
from faceanim.media.images import read_image
from faceanim.media.video import probe, read_frames


def predict(source: Frame, driving: Iterator[Frame]) -> Iterator[Frame]:
    """Predict a frame (S, S, 3), uint8 RGB, for each driving frame; another method goes here."""
    for _ in driving:
        yield source


def main() -> None:
    """Write the test set, predict every item, and score the predictions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--overwrite", action="store_true", help="replace the results of an earlier run")
    arguments = parser.parse_args()
    out, options = arguments.out, ["--overwrite"] if arguments.overwrite else []

    faceanim("test-set", str(out / "test-set"), *options)
    for video in sorted((out / "test-set/driving").iterdir()):
        source = read_image(out / f"test-set/source/{video.stem}.png")
        fps = Fraction(probe(video).fps).limit_denominator(1001)
        # Lossless: what a lossy codec discards would count against the method.
        write_ffv1(out / f"predictions/{video.name}", predict(source, read_frames(video, "pyav")), fps)
    predictions, evaluation = str(out / "predictions"), str(out / "evaluation")
    faceanim("evaluate", "--predictions", predictions, "--out", evaluation, *options)


def faceanim(*arguments: str) -> None:
    """Run the command `faceanim`; its own lines say what fails."""
    if subprocess.run([sys.executable, "-m", "faceanim", *arguments], check=False).returncode:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
