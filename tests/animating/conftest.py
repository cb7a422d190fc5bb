from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from faceanim.animating.torch_network import TorchNetwork
from faceanim.data.mp4 import write_video
from tests.tiny import save_models

FPS = Fraction(30000, 1001)
FRAMES = 21


def moving_face() -> list[np.ndarray]:
    """A real face that travels to the left over a frame larger than it, and is hidden in the middle."""
    picture = cv2.copyMakeBorder(astronaut(), 0, 0, 100, 100, cv2.BORDER_REPLICATE)
    frames = [picture[0:360, 3 * n : 3 * n + 480].copy() for n in range(FRAMES)]
    frames[10][:] = 128
    return frames


def write_tone(path: Path, seconds: float) -> None:
    """A sound file: 440 Hz, one channel."""
    wave = np.sin(2 * np.pi * 440 * np.arange(int(seconds * 48000)) / 48000)
    samples = (wave / 3).astype(np.float32)[None]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = 48000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def network(model) -> TorchNetwork:
    return TorchNetwork.load(model, "cpu")


@pytest.fixture(scope="session")
def portrait(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("portrait") / "portrait.png"
    cv2.imwrite(str(path), cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture(scope="session")
def driving(tmp_path_factory) -> Path:
    """`moving_face` with sound."""
    folder = tmp_path_factory.mktemp("driving")
    write_tone(folder / "tone.m4a", float(FRAMES / FPS))
    write_video(folder / "driving.mp4", moving_face(), FPS, audio_from=folder / "tone.m4a")
    return folder / "driving.mp4"
