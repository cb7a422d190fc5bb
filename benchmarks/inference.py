"""Animation of a portrait at 256x256, frame by frame, against the reference first-order motion model.

Networks that use landmarks are given them; reading those of a face that is already tracked is timed apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import nan
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import add_peer_option, create_parser, measure_rates, print_summary, set_cpu_threads
from benchmarks.peer import PeerPortrait, build_peer, load_config
from faceanim.config import load_params
from faceanim.faces.landmark_reader import LandmarkReader
from faceanim.inference.animator import Animator
from faceanim.media.boxes import Box
from faceanim.media.tensors import to_uint8
from faceanim.models.build import build_animation, build_super_resolution
from faceanim.models.landmark_motion import NUM_LANDMARKS

THREADS = 2
SIZE = 256
PROFILES = ("voxceleb", "paper")
"""Shipped profiles that animate at this size; the ratios are those of the first."""
REFERENCE = "reference"

LANDMARKS, DETECTOR = "landmarks", "dlib"
FACE = Box(0.2, 0.25, 0.8, 0.85).scale(SIZE)
"""Viola-Jones box of the face in the frames: 0.6 of their side, about as in a crop."""

Drive = Callable[[Tensor, Tensor], Tensor]
"""Callable that maps driving frames (B, 3, H, W) and their landmarks (B, 68, 2) in [-1, 1] to frames of the
animated portrait."""


@dataclass(frozen=True)
class Contender:
    """Networks, and a portrait that is prepared to be driven by them.

    Attributes:
        networks: networks whose parameters are counted.
        drive: animates the portrait, whose own keypoints are already known.
    """

    networks: nn.Module
    drive: Drive


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__, runs=7)
    add_peer_option(parser)
    parser.add_argument("--frames", type=int, default=10, help="Number of frames in each run.")
    args = parser.parse_args(arguments)
    set_cpu_threads(THREADS)
    torch.manual_seed(0)
    source, source_landmarks = make_frames(1)
    video, landmarks = make_frames(args.frames)
    profiles = [name for name in PROFILES if Path("profiles", f"{name}.yaml").is_file()]
    contenders = {name: prepare_faceanim(name, source, source_landmarks) for name in profiles}
    if args.peer:
        contenders[REFERENCE] = prepare_reference(args.peer, source)
    print(f"A portrait driven at {SIZE}x{SIZE}, frame by frame, on {THREADS} threads; fp32, random weights.")
    print("  each frame: detection of its keypoints, then the animation; the source is prepared once")
    print(f"  {LANDMARKS}: reading those of a frame by {DETECTOR}; the networks are given theirs")
    parameters = {name: count_parameters(each.networks) for name, each in contenders.items()}
    macs = {name: count_macs(each.drive, video[:1], landmarks[:1]) for name, each in contenders.items()}
    for name in contenders:
        print(f"{name:10} {parameters[name] / 1e6:7.2f} M parameters  {macs[name] / 1e9:7.2f} GMAC per frame")
    variants = {name: drive_by(each.drive, video, landmarks) for name, each in contenders.items()}
    rates = measure_rates(variants | {LANDMARKS: prepare_reading(video)}, "frames", args.runs)
    first, reference = profiles[0], rates.get(REFERENCE, nan)
    seconds = 1 / rates[first] + 1 / rates[LANDMARKS]
    print_summary(
        {
            "inference_vs_reference": rates[first] / reference,
            "inference_and_landmarks_vs_reference": 1 / (seconds * reference),
            "parameters_vs_reference": parameters.get(REFERENCE, nan) / parameters[first],
            "macs_vs_reference": macs.get(REFERENCE, nan) / macs[first],
            "landmarks_vs_inference": rates[LANDMARKS] / rates[first],
        }
    )


def make_frames(count: int) -> tuple[Tensor, Tensor]:
    """Make frames of noise (count, 3, SIZE, SIZE) in [0, 1] and landmarks (count, 68, 2) in [-1, 1]."""
    return torch.rand(count, 3, SIZE, SIZE), torch.rand(count, NUM_LANDMARKS, 2) - 0.5


def prepare_faceanim(profile: str, source: Tensor, landmarks: Tensor) -> Contender:
    """Build the animation network of a shipped profile, used through the `Animator` as in the library."""
    params = load_params(Path("profiles", f"{profile}.yaml"))
    model = build_animation(params.train_animation.model)
    animator = Animator(model, build_super_resolution(params.train_sr.model), SIZE)
    prepared = animator.prepare(source, landmarks=landmarks)
    return Contender(model, partial(animator.frames, prepared))


def prepare_reference(checkout: Path, source: Tensor) -> Contender:
    """Build the reference in its configuration vox-256, used as its animate.py does."""
    peer = build_peer(checkout, load_config(checkout, "vox-256"))
    networks = peer.networks().eval()
    portrait = PeerPortrait(peer, source)
    return Contender(networks, lambda driving, _: portrait.animate(driving))


def prepare_reading(video: Tensor) -> Callable[[], int]:
    """Return a callable that reads the landmarks of a video one frame at a time and returns their number."""
    reader, frames = LandmarkReader(DETECTOR, SIZE), to_uint8(video)
    return lambda: sum(len(reader.read(frame[None], [FACE])) for frame in frames)


def drive_by(drive: Drive, video: Tensor, landmarks: Tensor) -> Callable[[], int]:
    """Return a callable that drives by the frames of a video one at a time and returns their number."""
    pairs = list(zip(video.split(1), landmarks.split(1), strict=True))
    return lambda: sum(len(drive(frame, points)) for frame, points in pairs)


def count_parameters(networks: nn.Module) -> int:
    """Count the learned parameters."""
    return sum(parameter.numel() for parameter in networks.parameters())


def count_macs(drive: Drive, frame: Tensor, landmarks: Tensor) -> int:
    """Count the multiply-accumulates of one frame, in convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter:
        drive(frame, landmarks)
    return counter.get_total_flops() // 2


if __name__ == "__main__":
    main()
