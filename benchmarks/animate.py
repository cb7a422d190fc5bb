"""From a picture and a video to an animated video, file to file, against the first-order model's demo.py.

    python -m benchmarks.animate --peer PATH

PATH is a checkout of the reference first-order motion model, whose demo.py is run as it is (of its imports,
the one that copies sound is left out). Both start a process, load random weights, and animate at 256x256
without super-resolution; ours also follows and crops the face, smooths, keeps the sound, and marks frames.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.common import cpu_threads, finish, rates, shared
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
RUN_DEMO = """
import runpy, sys, types
import torch
torch.set_num_threads(int(sys.argv[1]))
sys.modules["ffmpeg"] = types.ModuleType("ffmpeg")
checkout = sys.argv[2]
sys.path.insert(0, checkout)
sys.argv = ["demo.py", *sys.argv[3:]]
runpy.run_path(checkout + "/demo.py", run_name="__main__")
"""
RUN_OURS = """
import sys
import torch
torch.set_num_threads(int(sys.argv[1]))
from faceanim.cli import main
sys.argv = ["faceanim", *sys.argv[2:]]
main()
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", type=Path, required=True, help="checkout of the reference model")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    cpu_threads(THREADS)
    portrait = shared("faces", "photos", PORTRAIT)
    clip = shared("faces", "clips", CLIP, f"{CLIP}.mp4")
    print(f"{PORTRAIT} animated by {CLIP} (1280x720, with sound) at 256x256 on {THREADS} threads.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contenders = {
            "faceanim": ours(folder, portrait, clip),
            "demo.py": theirs(folder, given.peer.resolve(), portrait, clip),
        }
        rate = rates(contenders, "frames", given.runs)
    finish({"animate_vs_demo": rate["faceanim"] / rate["demo.py"]})


def ours(folder: Path, portrait: Path, clip: Path) -> Callable[[], int]:
    """The command, with the networks of the profile `voxceleb`."""
    torch.manual_seed(0)
    params = load_params(Path("profiles/voxceleb.yaml"))
    model, enlarging = params.train_animation.model, params.train_sr.model
    save_animation(build_animation(model), model, folder / ANIMATION_FOLDER)
    save_super_resolution(build_super_resolution(enlarging), enlarging, folder / SUPER_RESOLUTION_FOLDER)
    out = folder / "ours.mp4"
    arguments = ["animate", portrait, clip, out, "--model", folder, "--no-super-resolution"]
    return lambda: run(RUN_OURS, arguments, out)


def theirs(folder: Path, checkout: Path, portrait: Path, clip: Path) -> Callable[[], int]:
    """The reference's demo.py."""
    torch.manual_seed(0)
    peer = build_peer(checkout, load_config(checkout, CONFIG))
    weights = {"generator": peer.generator.state_dict(), "kp_detector": peer.detector.state_dict()}
    torch.save(weights, folder / "checkpoint.pth.tar")
    out = folder / "theirs.mp4"
    arguments = {
        "--config": checkout / "config" / f"{CONFIG}.yaml",
        "--checkpoint": folder / "checkpoint.pth.tar",
        "--source_image": portrait,
        "--driving_video": clip,
        "--result_video": out,
    }
    flat = [part for pair in arguments.items() for part in pair]
    return lambda: run(RUN_DEMO, [checkout, *flat, "--relative", "--adapt_scale", "--cpu"], out)


def run(code: str, arguments: Sequence[object], out: Path) -> int:
    """Run Python code in a process of its own; how many frames it wrote."""
    command = [sys.executable, "-c", code, str(THREADS), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return probe(out).frames


if __name__ == "__main__":
    main()
