"""How a head moves while its owner talks: smooth trajectories from a seed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]


@dataclass(frozen=True)
class Pose:
    """One frame of a performance."""

    x: float
    """Of the head's middle, in frame pixels; `y` alike."""
    y: float
    scale: float
    """Frame pixels per canvas pixel."""
    roll: float
    """In degrees, clockwise; `yaw` turns to the right of the frame, `pitch` lifts the chin."""
    yaw: float
    pitch: float
    mouth: float
    """-1 lips closed, 0 as in the portrait, 1 wide open."""
    wide: float
    """-1 rounded lips, 1 a broad mouth."""
    blink: float
    """0 open, 1 closed."""
    gaze: tuple[float, float]
    """Right and down, -1 to 1."""
    brows: float
    """0 at rest, 1 raised."""


@dataclass(frozen=True)
class Performance:
    """What sets one take apart: where the head is, and how far it goes."""

    seed: int
    frames: int
    fps: int
    start: tuple[float, float]
    """Middle of the head at rest, in frame pixels."""
    scale: float
    travel: tuple[float, float] = (26.0, 9.0)
    """Amplitude of its wandering, in frame pixels."""
    drift: float = 0.0
    """Frame pixels to the right that it moves besides, over the whole take."""
    roll: float = 10.0
    yaw: float = 17.0
    pitch: float = 9.0


def act(take: Performance) -> list[Pose]:
    """The frames of a take, the same for the same take."""
    rng = np.random.default_rng(take.seed)
    time = np.arange(take.frames) / take.fps
    x, y, roll, yaw, pitch = (_sway_curve(rng, time, period) for period in (2.3, 1.7, 1.9, 1.6, 1.5))
    size = 1 + 0.04 * _sway_curve(rng, time, 2.5)
    ease = time / time[-1]
    ease = ease * ease * (3 - 2 * ease)
    mouth, wide = _speech_curves(rng, time)
    blink, (look_x, look_y) = _blink_curve(rng, time), _gaze_curves(rng, time)
    brows = np.clip(_sway_curve(rng, time, 1.3), 0, 1)
    return [
        Pose(
            x=float(take.start[0] + take.travel[0] * x[i] + take.drift * ease[i]),
            y=float(take.start[1] + take.travel[1] * y[i]),
            scale=float(take.scale * size[i]),
            roll=float(take.roll * roll[i]),
            yaw=float(take.yaw * yaw[i]),
            pitch=float(take.pitch * pitch[i]),
            mouth=float(mouth[i]),
            wide=float(wide[i]),
            blink=float(blink[i]),
            gaze=(float(look_x[i]), float(look_y[i])),
            brows=float(brows[i]),
        )
        for i in range(take.frames)
    ]


def _sway_curve(rng: np.random.Generator, time: Curve, period: float) -> Curve:
    """A slow oscillation with an uneven beat, in [-1, 1]."""
    first, second = rng.uniform(0, 2 * np.pi, 2)
    rate = 2 * np.pi / (period * rng.uniform(0.85, 1.15))
    curve: Curve = 0.72 * np.sin(rate * time + first) + 0.28 * np.sin(1.9 * rate * time + second)
    return curve


def _speech_curves(rng: np.random.Generator, time: Curve) -> tuple[Curve, Curve]:
    """Mouth opening and width: syllables of about a fifth of a second, in phrases with pauses between."""
    mouth, wide = np.full(len(time), -0.9), np.zeros(len(time))
    now = rng.uniform(0, 0.15)
    while now < time[-1]:
        length, height = rng.uniform(0.16, 0.27), rng.uniform(0.35, 1.0)
        pulse = np.exp(-0.5 * ((time - now - length / 2) / (0.3 * length)) ** 2)
        mouth += (0.9 + height) * pulse
        wide += rng.uniform(-1, 1) * pulse
        now += length + (rng.uniform(0.25, 0.4) if rng.random() < 0.14 else 0.0)
    return np.clip(mouth, -0.9, 1), np.clip(wide, -1, 1)


def _blink_curve(rng: np.random.Generator, time: Curve) -> Curve:
    blink = np.zeros(len(time))
    now = rng.uniform(0.3, 0.8)
    while now < time[-1]:
        blink = np.maximum(blink, np.clip(1.7 - np.abs(time - now) / 0.065, 0, 1))
        now += rng.uniform(0.8, 1.5)
    return blink


def _gaze_curves(rng: np.random.Generator, time: Curve) -> tuple[Curve, Curve]:
    """Gaze that rests for half a second, then jumps within two frames."""
    count = int(time[-1] / 0.3) + 2
    jumps = np.cumsum(rng.uniform(0.35, 0.8, count))
    targets = rng.uniform(-1, 1, (count + 1, 2))
    targets[:, 1] *= 0.6
    place = np.searchsorted(jumps, time)
    before = np.searchsorted(jumps, time - 0.06)
    look = (targets[place] + targets[before]) / 2
    return look[:, 0], look[:, 1]
