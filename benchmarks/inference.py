"""Driving a portrait at 256x256, frame by frame, against the reference first-order motion model."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import cpu_threads, finish, rates
from benchmarks.peer import PeerPortrait, build_peer, load_config
from faceanim.config import load_params
from faceanim.inference.animator import Animator
from faceanim.models.build import build_animation, build_super_resolution

THREADS = 2
SIZE = 256
PROFILES = ("voxceleb", "paper")
"""Shipped profiles that make frames of that size; the first is what the ratios are about."""
REFERENCE = "reference"

Drive = Callable[[Tensor], Tensor]
"""Driving frames (B, 3, H, W) to the portrait's."""


@dataclass(frozen=True)
class Contender:
    """Networks, and their portrait with the source's share of the work done."""

    networks: nn.Module
    drive: Drive


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, required=True, help="checkout of the reference model")
    parser.add_argument("--frames", type=int, default=10, help="in each run")
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    cpu_threads(THREADS)
    torch.manual_seed(0)
    source = torch.rand(1, 3, SIZE, SIZE)
    video = torch.rand(given.frames, 3, SIZE, SIZE)
    profiles = [name for name in PROFILES if Path("profiles", f"{name}.yaml").is_file()]
    contenders = {name: ours(name, source) for name in profiles} | {REFERENCE: reference(given.peer, source)}
    print(
        f"A portrait driven at {SIZE}x{SIZE}, a frame at a time, on {THREADS} threads; fp32, random weights."
    )
    print("  a frame is: the driving frame's keypoints, then the animation; the source is prepared once")
    parameters = {name: count_parameters(each.networks) for name, each in contenders.items()}
    macs = {name: count_macs(each.drive, video[:1]) for name, each in contenders.items()}
    for name in contenders:
        print(f"{name:10} {parameters[name] / 1e6:7.2f} M parameters  {macs[name] / 1e9:7.2f} GMAC a frame")
    rate = rates({name: over(each.drive, video) for name, each in contenders.items()}, "frames", given.runs)
    first = profiles[0]
    finish(
        {
            "inference_vs_reference": rate[first] / rate[REFERENCE],
            "parameters_vs_reference": parameters[REFERENCE] / parameters[first],
            "macs_vs_reference": macs[REFERENCE] / macs[first],
        }
    )


def ours(profile: str, source: Tensor) -> Contender:
    """The animation network of a shipped profile, behind the facade that users call."""
    params = load_params(Path("profiles", f"{profile}.yaml"))
    model = build_animation(params.train_animation.model)
    animator = Animator(model, build_super_resolution(params.train_sr.model), SIZE)
    prepared = animator.prepare(source)
    return Contender(model, lambda driving: animator.frames(prepared, driving))


def reference(checkout: Path, source: Tensor) -> Contender:
    """The reference as its animate.py runs it, at its vox-256 configuration."""
    peer = build_peer(checkout, load_config(checkout, "vox-256"))
    networks = peer.networks().eval()
    return Contender(networks, PeerPortrait(peer, source).frames)


def over(drive: Drive, video: Tensor) -> Callable[[], int]:
    """Drive with each frame of a video in turn; how many there were."""
    return lambda: sum(len(drive(frame)) for frame in video.split(1))


def count_parameters(networks: nn.Module) -> int:
    """How many numbers are learnt."""
    return sum(parameter.numel() for parameter in networks.parameters())


def count_macs(drive: Drive, frame: Tensor) -> int:
    """Multiply-accumulates of one frame, in convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter:
        drive(frame)
    return counter.get_total_flops() // 2


if __name__ == "__main__":
    main()
