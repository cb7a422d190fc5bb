"""Peak memory of animating by a ten-minute video, against that by ten seconds of it.

    python -m benchmarks.animate_memory [--model FOLDER]

Without a model it is that of the profile `sample` with random weights, which takes about five minutes.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.common import cpu_threads, finish, peak_kilobytes, shared
from benchmarks.memory import repeat
from faceanim.config import load_params
from faceanim.inference.animator import ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER
from faceanim.inference.api import animate
from faceanim.models.build import build_animation, build_super_resolution
from faceanim.models.storage import save_animation, save_super_resolution

CLIP = "nvidia_eyecontact"
SHORT_S, LONG_S = 10, 600


def main() -> None:
    """Measure and print; with a video as argument, animate by it and print this process's peak."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--model", type=Path)
    given = parser.parse_args()
    if given.video:
        cpu_threads(2)
        portrait = shared("faces", "photos", "astronaut.png")
        animate(portrait, given.video, given.video.with_suffix(".out.mp4"), model=given.model)
        print(peak_kilobytes())
        return
    source = shared("faces", "clips", CLIP, f"{CLIP}.mp4")
    print(f"Peak memory of animating by {CLIP} (1280x720, 30 fps), repeated for ten seconds and ten minutes.")
    megabytes = {}
    with tempfile.TemporaryDirectory() as folder:
        model = given.model or random_model(Path(folder))
        for seconds in (SHORT_S, LONG_S):
            video = Path(folder, f"{seconds}.mp4")
            frames = repeat(source, video, seconds)
            command = [sys.executable, "-m", "benchmarks.animate_memory", str(video), "--model", str(model)]
            megabytes[seconds] = int(subprocess.run(command, check=True, capture_output=True).stdout) / 1024
            print(f"{seconds:5} s, {frames:7,} frames: {megabytes[seconds]:7,.1f} MB")
    finish({"ten_seconds_vs_ten_minutes_memory": megabytes[SHORT_S] / megabytes[LONG_S]})


def random_model(folder: Path) -> Path:
    """The networks of the profile `sample`, with random weights."""
    torch.manual_seed(0)
    params = load_params(Path("profiles/sample.yaml"))
    model, enlarging = params.train_animation.model, params.train_sr.model
    save_animation(build_animation(model), model, folder / ANIMATION_FOLDER)
    save_super_resolution(build_super_resolution(enlarging), enlarging, folder / SUPER_RESOLUTION_FOLDER)
    return folder


if __name__ == "__main__":
    main()
