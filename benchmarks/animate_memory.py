"""Peak memory of an animation by a ten-minute video, against that by ten seconds of the same video.

    python -m benchmarks.animate_memory [--model FOLDER]

Without a model, the networks of the profile `sample` are used with random weights, which takes about five
minutes.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.common import (
    create_parser,
    find_clip,
    print_summary,
    read_peak_memory,
    set_cpu_threads,
    shared_path,
)
from benchmarks.memory import LENGTHS, write_looped_video
from faceanim.config import load_params
from faceanim.inference.animator import ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER
from faceanim.inference.api import animate
from faceanim.models.build import build_animation, build_super_resolution
from faceanim.models.storage import save_animation, save_super_resolution

CLIP = "nvidia_eyecontact"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results.

    With a video as argument, animate by it and print the peak memory of this process.
    """
    parser = create_parser(__doc__)
    parser.add_argument("video", type=Path, nargs="?", help="Video to measure in this process.")
    parser.add_argument("--model", type=Path, help="Folder of a model.")
    parser.add_argument("--seconds", **LENGTHS, default=(10, 600))
    args = parser.parse_args(arguments)
    if args.video:
        set_cpu_threads(2)
        portrait = shared_path("faces", "photos", "astronaut.png")
        out = args.video.with_suffix(".out.mp4")
        animate(portrait, args.video, out, model=args.model, overwrite=True)
        print(read_peak_memory())
        return
    source = find_clip(CLIP)
    print(f"Peak memory of animating by {CLIP}, looped to two lengths.")
    megabytes = {}
    with tempfile.TemporaryDirectory() as folder:
        model = args.model or save_random_model(Path(folder))
        for seconds in args.seconds:
            video = Path(folder, f"{seconds}.mp4")
            frames = write_looped_video(source, video, seconds)
            command = [sys.executable, "-m", "benchmarks.animate_memory", str(video), "--model", str(model)]
            megabytes[seconds] = int(subprocess.run(command, check=True, capture_output=True).stdout) / 1024
            print(f"{seconds:5} s, {frames:7,} frames: {megabytes[seconds]:7,.1f} MB")
    short, long = args.seconds
    print_summary({"ten_seconds_vs_ten_minutes_memory": megabytes[short] / megabytes[long]})


def save_random_model(folder: Path) -> Path:
    """Save the networks of the profile `sample`, with random weights, and return their folder."""
    torch.manual_seed(0)
    params = load_params(Path("profiles/sample.yaml"))
    animation, super_resolution = params.train_animation.model, params.train_sr.model
    save_animation(build_animation(animation), animation, folder / ANIMATION_FOLDER)
    save_super_resolution(
        build_super_resolution(super_resolution), super_resolution, folder / SUPER_RESOLUTION_FOLDER
    )
    return folder


if __name__ == "__main__":
    main()
