"""Error of facial landmarks predicted from a trained model's keypoints by a linear regression.

    python -m benchmarks.keypoints [--models models] [--data data]

The regression is fitted to the people on whom the model was trained, and scored on the held-out ones.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.clips import BATCH, Clip, read_clips
from benchmarks.common import create_parser, print_summary
from benchmarks.keypoint_regression import PosedFrames, landmark_error
from faceanim.faces.landmark_sets import EYE_CORNERS
from faceanim.inference.animator import Animator

Detect = Callable[[Tensor], Tensor]
"""Callable that maps frames (B, 3, S, S) in [0, 1] to their keypoints (B, K, 2)."""


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


def keypoint_error(detect: Detect, train: Sequence[Clip], held_out: Sequence[Clip]) -> float:
    """Compute the error of the clips' landmarks predicted from keypoints; see `landmark_error`."""
    train_frames, held_out_frames = (
        [collect_posed_frames(detect, clip) for clip in clips] for clips in (train, held_out)
    )
    (left, _), (_, right) = EYE_CORNERS["ibug68"]
    return landmark_error(train_frames, held_out_frames, (left, right))


def collect_posed_frames(detect: Detect, clip: Clip) -> PosedFrames:
    """Collect the keypoints and landmarks of the frames that have landmarks."""
    frames, points = clip.frames[clip.detected], clip.points[clip.detected]
    keypoints = torch.cat([detect(batch) for batch in frames.split(BATCH)])
    return PosedFrames(keypoints.numpy(), points.numpy())


if __name__ == "__main__":
    main()
