"""Do a trained model's keypoints mean something? Landmarks told from them by a linear regression.

    python -m benchmarks.keypoints [--models models] [--data data]

The regression is fitted to the people that the model was trained on, and scored on the held-out ones.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.scoring import keypoint_error, read_clips
from faceanim.inference.animator import Animator


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of a pipeline's models")
    parser.add_argument("--data", type=Path, default=Path("data"), help="with crops.parquet and landmarks")
    given = parser.parse_args()
    animator = Animator.load(given.models, "cpu")

    @torch.inference_mode()
    def detect(frames: Tensor) -> Tensor:
        return animator.detect(frames).value

    known, held_out = (list(read_clips(given.data, split, animator.size)) for split in ("train", "test"))
    error = keypoint_error(detect, known, held_out)
    print(f"{100 * error:.2f} % of the distance between the eyes, on {len(held_out)} held-out clips")


if __name__ == "__main__":
    main()
