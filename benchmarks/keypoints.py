"""Error of facial landmarks predicted from a trained model's keypoints by a linear regression.

    python -m benchmarks.keypoints [--models models] [--data data]

The regression is fitted to the people on whom the model was trained, and scored on the held-out ones.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.common import create_parser, print_summary
from benchmarks.scoring import keypoint_error, read_clips
from faceanim.inference.animator import Animator


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its result."""
    parser = create_parser(__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="Folder of a pipeline's models.")
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="Folder with crops.parquet and landmarks."
    )
    args = parser.parse_args(arguments)
    animator = Animator.load(args.models, "cpu")

    @torch.inference_mode()
    def detect(frames: Tensor) -> Tensor:
        return animator.detect(frames).value

    train, held_out = (list(read_clips(args.data, split, animator.size)) for split in ("train", "test"))
    error = keypoint_error(detect, train, held_out)
    print(f"{100 * error:.2f} % of the distance between the eyes, on {len(held_out)} held-out clips")
    print_summary({"eye_distance_vs_error": 1 / error})


if __name__ == "__main__":
    main()
