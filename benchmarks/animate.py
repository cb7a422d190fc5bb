"""Animation of a portrait by a video, file to file, against the demo.py of the first-order motion model.

    python -m benchmarks.animate --peer PATH

PATH is a checkout of the reference first-order motion model, whose demo.py is run unchanged, except that its
import for copying sound is stubbed. Both sides start a process, load random weights, and animate at 256x256
without super-resolution; faceanim also tracks and crops the face, smooths, keeps the sound, and marks the
frames.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from math import nan
from pathlib import Path

import torch

from benchmarks.common import (
    add_peer_option,
    add_profile_option,
    create_parser,
    find_clip,
    load_profile,
    measure_rates,
    print_summary,
    set_cpu_threads,
    shared_path,
)
from benchmarks.peer import build_peer, load_config
from faceanim.inference.animator import ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER
from faceanim.media.video import probe
from faceanim.models.build import build_animation, build_super_resolution
from faceanim.models.storage import save_animation, save_super_resolution

THREADS = 2
CLIP = "nvidia_eyecontact"
PORTRAIT = "astronaut.png"
CONFIG = "vox-256"
DEMO_CODE = """
import runpy, sys, types
import torch
torch.set_num_threads(int(sys.argv[1]))
sys.modules["ffmpeg"] = types.ModuleType("ffmpeg")
checkout = sys.argv[2]
sys.path.insert(0, checkout)
sys.argv = ["demo.py", *sys.argv[3:]]
runpy.run_path(checkout + "/demo.py", run_name="__main__")
"""
FACEANIM_CODE = """
import sys
import torch
torch.set_num_threads(int(sys.argv[1]))
from faceanim.cli.main import main
sys.argv = ["faceanim", *sys.argv[2:]]
main()
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__, runs=3)
    add_peer_option(parser)
    add_profile_option(parser, "voxceleb")
    args = parser.parse_args(arguments)
    set_cpu_threads(THREADS)
    portrait = shared_path("faces", "photos", PORTRAIT)
    clip = find_clip(CLIP)
    print(f"{PORTRAIT} animated by {CLIP} at 256x256 on {THREADS} threads.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contenders = {"faceanim": prepare_faceanim(args.profile, folder, portrait, clip)}
        if args.peer:
            contenders["demo.py"] = prepare_demo(folder, args.peer.resolve(), portrait, clip)
        rates = measure_rates(contenders, "frames", args.runs)
    print_summary({"animate_vs_demo": rates["faceanim"] / rates.get("demo.py", nan)})


def prepare_faceanim(profile: str, folder: Path, portrait: Path, clip: Path) -> Callable[[], int]:
    """Save the networks of a profile with random weights; return a run of `faceanim animate`."""
    torch.manual_seed(0)
    params = load_profile(profile)
    animation, super_resolution = params.train_animation.model, params.train_sr.model
    save_animation(build_animation(animation), animation, folder / ANIMATION_FOLDER)
    save_super_resolution(
        build_super_resolution(super_resolution), super_resolution, folder / SUPER_RESOLUTION_FOLDER
    )
    out = folder / "ours.mp4"
    arguments = ["animate", portrait, clip, out, "--model", folder, "--no-super-resolution", "--overwrite"]
    return lambda: run_code(FACEANIM_CODE, arguments, out)


def prepare_demo(folder: Path, checkout: Path, portrait: Path, clip: Path) -> Callable[[], int]:
    """Save the reference's networks with random weights; return a run of its demo.py."""
    torch.manual_seed(0)
    peer = build_peer(checkout, load_config(checkout, CONFIG))
    weights = {"generator": peer.generator.state_dict(), "kp_detector": peer.detector.state_dict()}
    torch.save(weights, folder / "checkpoint.pth.tar")
    out = folder / "theirs.mp4"
    options = {
        "--config": checkout / "config" / f"{CONFIG}.yaml",
        "--checkpoint": folder / "checkpoint.pth.tar",
        "--source_image": portrait,
        "--driving_video": clip,
        "--result_video": out,
    }
    arguments = [part for option in options.items() for part in option]
    return lambda: run_code(DEMO_CODE, [checkout, *arguments, "--relative", "--adapt_scale", "--cpu"], out)


def run_code(code: str, arguments: Sequence[object], out: Path) -> int:
    """Run Python code in a separate process; return the number of frames in the video that it wrote."""
    command = [sys.executable, "-c", code, str(THREADS), *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        sys.exit(process.stderr)
    return probe(out).frames


if __name__ == "__main__":
    main()
