"""What smoothing does to the animated frames: jitter on a face at rest, lag where it jumps.

    python -m benchmarks.smoothing --model FOLDER

The model has to be trained; `python -m benchmarks.real_people` leaves one in out/real_people/models. A frame
of each clip is held still under a sensor's noise, coded as a video, and drives the portrait through the whole
of `faceanim.animate`. Keypoints are read from the animated frames, before they are coded, by the model's own
detector.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import cpu_threads, finish, shared
from faceanim.inference.api import animate
from faceanim.inference.backend import Network
from faceanim.inference.loading import load_network
from faceanim.inference.options import Options
from faceanim.media.encode import write_mp4
from faceanim.media.frames import Frame
from faceanim.media.images import read_image
from faceanim.media.video import read_frames

FPS = Fraction(25)
FRAMES = 50
NOISE = 6.0
"""Standard deviation of the sensor's noise, in levels of 255: an indoor webcam's."""
JUMP = 0.06
"""Of the frame's width, from the middle of the video on."""
CLIPS = ("grid_bbaf2n", "grid_brbk7n", "grid_sbwe5n", "grid_swiz3n", "liveportrait_s18", "nvidia_eyecontact")
PORTRAIT = "astronaut.png"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    given = parser.parse_args()
    cpu_threads(2)
    network = load_network(given.model, "cpu")
    print(f"{PORTRAIT}, driven by still frames with noise of {NOISE:g} levels, {FRAMES} at {FPS} fps.")
    print("Mean movement of a keypoint from frame to frame, in pixels at 256, and how late a jump is:")
    shaking, lags = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in CLIPS:
            frame = first_frame(name)
            still = [keypoints(network, folder, rest(frame), strength) for strength in (0.0, 1.0)]
            shaking.append([steps(points) for points in still])
            lags.append(lag(*(keypoints(network, folder, jump(frame), strength) for strength in (0.0, 1.0))))
            before, after = shaking[-1]
            times = f"{before / after:.1f} times less"
            print(f"{name:18} {before:.3f}, smoothed {after:.3f}, {times}; {lags[-1]} frames")
    before, after = np.mean(shaking, axis=0)
    finish({"jitter_vs_unsmoothed": before / after, "frames_of_lag": float(max(map(abs, lags)))})


def first_frame(name: str) -> Frame:
    """The first frame of a clip."""
    (path,) = shared("faces", "clips", name).glob(f"{name}.*")
    return next(read_frames(path, "pyav"))


def rest(frame: Frame) -> Iterator[Frame]:
    """A frame held still, as a sensor sees it."""
    random = np.random.default_rng(0)
    for _ in range(FRAMES):
        yield noisy(frame, random)


def jump(frame: Frame) -> Iterator[Frame]:
    """The same, shifted from the middle of the video on."""
    random, width = np.random.default_rng(0), frame.shape[1]
    shifted = np.roll(frame, round(JUMP * width), axis=1)
    for number in range(FRAMES):
        yield noisy(frame if number < FRAMES // 2 else shifted, random)


def noisy(frame: Frame, random: np.random.Generator) -> Frame:
    """A frame with a sensor's noise."""
    return np.rint(frame + random.normal(0, NOISE, frame.shape)).clip(0, 255).astype(np.uint8)


def keypoints(
    network: Network, folder: str, driving: Iterator[Frame], smoothing: float
) -> NDArray[np.float32]:
    """Where the model's own detector sees the keypoints of the animated frames: (N, K, 2) in [-1, 1]."""
    video, out = Path(folder, "driving.mp4"), Path(folder, "frames")
    write_mp4(video, driving, FPS)
    options = Options(smoothing=smoothing, super_resolution=False)
    animate(shared("faces", "photos", PORTRAIT), video, out, model=network, options=options)
    frames = [read_image(path) for path in sorted(out.iterdir())]
    shutil.rmtree(out)
    return network.detect(np.stack(frames)).value


def steps(points: NDArray[np.float32]) -> float:
    """Mean movement of a keypoint from frame to frame, in pixels at 256."""
    return float(np.linalg.norm(np.diff(points, axis=0), axis=-1).mean() * 128)


def lag(plain: NDArray[np.float32], smoothed: NDArray[np.float32]) -> int:
    """How many frames later the smoothed face is half-way through the jump than the plain one."""
    crossed = [half_way(points[..., 0].mean(axis=1)) for points in (plain, smoothed)]
    return crossed[1] - crossed[0]


def half_way(x: Sequence[float] | NDArray[np.float32]) -> int:
    """The first frame beyond the middle between where a track begins and where it ends."""
    track = np.asarray(x)
    begin, end = track[: FRAMES // 4].mean(), track[-FRAMES // 4 :].mean()
    return int(np.argmax((track - begin) / (end - begin) > 0.5))


if __name__ == "__main__":
    main()
