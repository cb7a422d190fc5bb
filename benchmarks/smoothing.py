"""Effect of smoothing on the animated frames: jitter of a face at rest, and lag when it jumps.

    python -m benchmarks.smoothing --model FOLDER

The model must be trained; `python -m benchmarks.real_people` leaves one in out/real_people/models. One frame
of each clip is held still under sensor noise, encoded as a video, and drives the portrait through all of
`faceanim.animate`. The keypoints are detected by the model itself, in the animated frames before they are
encoded.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import (
    add_clips_option,
    create_parser,
    find_clip,
    print_summary,
    set_cpu_threads,
    shared_path,
)
from faceanim.inference.api import animate
from faceanim.inference.backend import Network
from faceanim.inference.loading import load_network
from faceanim.inference.options import Options
from faceanim.media.encode import write_mp4
from faceanim.media.frames import Frame
from faceanim.media.images import read_image
from faceanim.media.video import read_frames

FPS = Fraction(25)
NOISE = 6.0
"""Standard deviation of the sensor noise, in levels of 255: that of an indoor webcam."""
JUMP = 0.06
"""Shift in the middle of the video, as a fraction of the frame's width."""
CLIPS = ("grid_bbaf2n", "grid_brbk7n", "grid_sbwe5n", "grid_swiz3n", "liveportrait_s18", "nvidia_eyecontact")
PORTRAIT = "astronaut.png"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="Folder of a trained model.")
    add_clips_option(parser, CLIPS)
    parser.add_argument("--frames", type=int, default=50, help="Frames of each driving video (default: 50).")
    args = parser.parse_args(arguments)
    set_cpu_threads(2)
    network = load_network(args.model, "cpu")
    print(f"{PORTRAIT}, driven by still frames with noise of {NOISE:g} levels, {args.frames} at {FPS} fps.")
    print("Mean movement of a keypoint between frames, in pixels at 256, and lag of a jump:")
    movements, lags = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.clips:
            frame = read_first_frame(name)
            resting = [
                track_keypoints(network, folder, rest(frame, args.frames), strength)
                for strength in (0.0, 1.0)
            ]
            jumping = [
                track_keypoints(network, folder, jump(frame, args.frames), strength)
                for strength in (0.0, 1.0)
            ]
            before, after = (mean_movement(points) for points in resting)
            movements.append((before, after))
            lags.append(measure_lag(*jumping))
            print(
                f"{name:18} {before:.3f}, smoothed {after:.3f}, {before / after:.1f} times less; "
                f"lag {lags[-1]} frames"
            )
    before, after = np.mean(movements, axis=0)
    print_summary({"jitter_vs_unsmoothed": before / after, "frames_of_lag": float(max(map(abs, lags)))})


def read_first_frame(name: str) -> Frame:
    """Read the first frame of a clip."""
    return next(read_frames(find_clip(name), "pyav"))


def rest(frame: Frame, count: int) -> Iterator[Frame]:
    """Yield a still frame `count` times, with sensor noise."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield add_noise(frame, rng)


def jump(frame: Frame, count: int) -> Iterator[Frame]:
    """Yield the same, shifted to the right in the second half of the video."""
    rng, width = np.random.default_rng(0), frame.shape[1]
    shifted = np.roll(frame, round(JUMP * width), axis=1)
    for number in range(count):
        yield add_noise(frame if number < count // 2 else shifted, rng)


def add_noise(frame: Frame, rng: np.random.Generator) -> Frame:
    """Add sensor noise to a frame."""
    return np.rint(frame + rng.normal(0, NOISE, frame.shape)).clip(0, 255).astype(np.uint8)


def track_keypoints(
    network: Network, folder: str, driving: Iterator[Frame], smoothing: float
) -> NDArray[np.float32]:
    """Animate the portrait and detect the keypoints of the animated frames, (N, K, 2) in [-1, 1]."""
    video, out = Path(folder, "driving.mp4"), Path(folder, "frames")
    write_mp4(video, driving, FPS)
    options = Options(smoothing=smoothing, super_resolution=False)
    animate(shared_path("faces", "photos", PORTRAIT), video, out, model=network, options=options)
    frames = [read_image(path) for path in sorted(out.iterdir())]
    shutil.rmtree(out)
    return network.detect(np.stack(frames)).value


def mean_movement(points: NDArray[np.float32]) -> float:
    """Compute the mean movement of a keypoint between frames, in pixels at 256."""
    return float(np.linalg.norm(np.diff(points, axis=0), axis=-1).mean() * 128)


def measure_lag(plain: NDArray[np.float32], smoothed: NDArray[np.float32]) -> int:
    """Measure by how many frames the smoothed face is later than the plain one halfway through the jump."""
    plain_frame, smoothed_frame = (find_halfway(points[..., 0].mean(axis=1)) for points in (plain, smoothed))
    return smoothed_frame - plain_frame


def find_halfway(x: Sequence[float] | NDArray[np.float32]) -> int:
    """Return the first frame in which a track is beyond the midpoint between its start and its end."""
    track = np.asarray(x)
    quarter = len(track) // 4
    start, end = track[:quarter].mean(), track[-quarter:].mean()
    return int(np.argmax((track - start) / (end - start) > 0.5))


if __name__ == "__main__":
    main()
