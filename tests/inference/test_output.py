"""Files of frames with unusual timing: the duration is right, and viewers show every delay as it is."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from faceanim import Options
from faceanim.inference.api import last_frame_s
from faceanim.inference.output import FrameTiming, place_gif_frames, write_result
from faceanim.media.frames import Frame
from tests.inference.test_motion import some as make_motion

CLOSE = [0.0, 1 / 30 - 0.03, 2 / 30, 3 / 30, 4 / 30, 5 / 30 - 0.03]
"""Times of a file of 30 frames a second with pairs of frames 3 ms apart, in seconds."""


def timed(times: list[float], fps: Fraction) -> FrameTiming:
    return FrameTiming(np.asarray(times), fps, True)


def steady(count: int, fps: Fraction) -> FrameTiming:
    return FrameTiming(np.arange(count) / float(fps), fps, False)


def gray_frames(count: int) -> list[Frame]:
    """Return frames of increasing brightness above a scale of all levels, so that they share a palette."""
    scale = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (2, 1, 3))
    return [np.vstack([np.full_like(scale, level), scale]) for level in np.linspace(0, 250, count)]


def write_frames(path: Path, timing: FrameTiming) -> int:
    return write_result(path, iter(gray_frames(len(timing.times))), timing, None)


def shown_in(path: Path, count: int) -> tuple[list[int], list[int]]:
    """Return the numbers of the frames in a GIF of `gray_frames`, and the delays in milliseconds."""
    with Image.open(path) as gif:
        frames = [
            (int(np.asarray(f.convert("L"))[0, 0]), f.info["duration"]) for f in ImageSequence.Iterator(gif)
        ]
    return [round(level * (count - 1) / 250) for level, _ in frames], [delay for _, delay in frames]


@pytest.mark.parametrize(
    ("fps", "count"),
    [(1, 1), (120, 1), (25, 10), (30, 31), (50, 25), (60, 31), (100, 36), (120, 41), (1000, 45)],
)
def test_a_gif_lasts_as_long_as_its_frames(fps, count, tmp_path):
    timing = steady(count, Fraction(fps))
    written = write_frames(tmp_path / "out.gif", timing)
    numbers, delays = shown_in(tmp_path / "out.gif", count)
    assert written == len(numbers)
    assert min(delays) >= 20  # viewers take shorter ones for 100 ms
    assert sum(delays) == pytest.approx(max(1000 * count / fps, 20), abs=5)
    if fps <= 50:
        assert numbers == list(range(count))
    placed, _ = place_gif_frames(timing)
    assert np.cumsum([0, *delays[:-1]]).tolist() == [10 * tick for tick in placed.values()]
    assert max(abs(tick / 100 - timing.times[number]) for number, tick in placed.items()) <= 0.0051
    assert np.abs(np.array(numbers) - list(placed)).max() <= 1  # by their colors, which a palette changes


def test_a_gif_shows_close_frames_a_little_late(tmp_path):
    assert write_frames(tmp_path / "out.gif", timed(CLOSE, Fraction(30))) == len(CLOSE)
    numbers, delays = shown_in(tmp_path / "out.gif", len(CLOSE))
    assert numbers == list(range(len(CLOSE)))
    assert delays == [20, 50, 30, 30, 20, 20]


def test_a_gif_drops_the_frames_for_which_there_is_no_time(tmp_path):
    times = [0.0, 0.003, 0.006, 0.3, 0.3, 0.31, 0.6]
    assert write_frames(tmp_path / "out.gif", timed(times, Fraction(10))) == 5
    numbers, delays = shown_in(tmp_path / "out.gif", len(times))
    assert numbers == [0, 2, 3, 5, 6]  # the third, which is shown for long, and not the second
    assert delays == [20, 280, 20, 280, 100]


@pytest.mark.parametrize("times", [CLOSE, [0.0, 0.0, 0.000001, 0.04], [0.0, 1e-9, 2e-9, 3e-9]])
@pytest.mark.parametrize("name", ["out.mp4", "frames", "out.gif"])
def test_close_and_equal_times_can_be_written(name, times, tmp_path):
    assert write_frames(tmp_path / name, timed(times, Fraction(30))) > 0
    if name == "out.mp4":
        with av.open(str(tmp_path / name)) as container:
            shown = [float(frame.time) for frame in container.decode(video=0)]
        assert np.allclose(shown, times, atol=1e-4)


def test_a_loop_of_a_varying_rate_lasts_as_long_as_its_motion(tmp_path):
    once = make_motion(times=np.array([0.0, 0.05, 0.12, 0.2]))
    loop = once.ping_pong(2)
    last_s = last_frame_s(loop, Options(rounds=2))
    write_frames(tmp_path / "out.gif", FrameTiming(loop.times, loop.fps, loop.is_variable, last_s))
    _, delays = shown_in(tmp_path / "out.gif", len(loop.times))
    assert sum(delays) == 4 * 200
