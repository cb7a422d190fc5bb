"""Animation of a portrait by a video, file to file, against the demo.py of the first-order motion model.

    python -m benchmarks.animate --peer PATH

PATH is a checkout of the reference first-order motion model, whose demo.py is run unchanged, except that its
import for copying sound is stubbed. Both sides start a process, load random weights, and animate at 256x256
without super-resolution; faceanim also tracks and crops the face, smooths, keeps the sound, and marks the
frames.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.common import measure_rates, print_summary, set_cpu_threads, shared_path
from benchmarks.peer import build_peer, load_config
from faceanim.config import load_params
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


def main() -> None:
    """Run the benchmark and print its results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", type=Path, required=True, help="Checkout of the reference model.")
    parser.add_argument("--runs", type=int, default=3, help="Number of measured runs of each side.")
    args = parser.parse_args()
    set_cpu_threads(THREADS)
    portrait = shared_path("faces", "photos", PORTRAIT)
    clip = shared_path("faces", "clips", CLIP, f"{CLIP}.mp4")
    print(f"{PORTRAIT} animated by {CLIP} (1280x720, with sound) at 256x256 on {THREADS} threads.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contenders = {
            "faceanim": prepare_faceanim(folder, portrait, clip),
            "demo.py": prepare_demo(folder, args.peer.resolve(), portrait, clip),
        }
        rates = measure_rates(contenders, "frames", args.runs)
    print_summary({"animate_vs_demo": rates["faceanim"] / rates["demo.py"]})


def prepare_faceanim(folder: Path, portrait: Path, clip: Path) -> Callable[[], int]:
    """Save the networks of the profile `voxceleb` with random weights; return a run of `faceanim animate`."""
    torch.manual_seed(0)
    params = load_params(Path("profiles/voxceleb.yaml"))
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
