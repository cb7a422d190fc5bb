"""A small driving video of a real face."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from skimage.data import astronaut

FPS = Fraction(30000, 1001)
FRAMES = 21


def moving_face() -> list[np.ndarray]:
    """Return frames of a real face that moves to the left, and is hidden in the middle one."""
    picture = cv2.copyMakeBorder(astronaut(), 0, 0, 100, 100, cv2.BORDER_REPLICATE)
    frames = [picture[0:360, 3 * n : 3 * n + 480].copy() for n in range(FRAMES)]
    frames[10][:] = 128
    return frames


def write_tone(path: Path, seconds: float) -> None:
    """Write a sound file: 440 Hz, one channel."""
    wave = np.sin(2 * np.pi * 440 * np.arange(int(seconds * 48000)) / 48000)
    samples = (wave / 3).astype(np.float32)[None]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = 48000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
