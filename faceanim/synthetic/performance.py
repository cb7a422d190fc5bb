"""Motion of a talking head: smooth random trajectories of pose and expression, determined by a seed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]
"""(N,), a value per frame."""


@dataclass(frozen=True)
class Pose:
    """Pose and expression in one frame."""

    x: float
    """Horizontal position of the head's center, in frame pixels."""
    y: float
    """Vertical position of the head's center, in frame pixels."""
    scale: float
    """Frame pixels per canvas pixel."""
    roll: float
    """Rotation in the image plane, clockwise, in degrees."""
    yaw: float
    """Rotation towards the right of the frame, in degrees."""
    pitch: float
    """Rotation that lifts the chin, in degrees."""
    mouth: float
    """Opening of the mouth: -1 for closed lips, 0 as in the portrait, 1 for wide open."""
    mouth_width: float
    """Width of the mouth: -1 for rounded lips, 1 for a broad mouth."""
    blink: float
    """Closure of the eyes: 0 for open, 1 for closed."""
    gaze: tuple[float, float]
    """Gaze to the right and downward, each -1 to 1."""
    brows: float
    """Height of the brows: 0 at rest, 1 raised."""


@dataclass(frozen=True)
class Performance:
    """Parameters of a take: its length, the position of the head and the amplitudes of its motion."""

    seed: int
    frames: int
    fps: int
    start: tuple[float, float]
    """Center of the head at rest, in frame pixels."""
    scale: float
    """Frame pixels per canvas pixel at rest."""
    sway: tuple[float, float] = (26.0, 9.0)
    """Horizontal and vertical amplitude of the sway, in frame pixels."""
    drift: float = 0.0
    """Additional displacement to the right over the whole take, in frame pixels."""
    roll: float = 10.0
    """Amplitude of the roll, in degrees."""
    yaw: float = 17.0
    """Amplitude of the yaw, in degrees."""
    pitch: float = 9.0
    """Amplitude of the pitch, in degrees."""


def generate_poses(take: Performance) -> list[Pose]:
    """Generate the pose of each frame of a take; equal takes give equal poses."""
    rng = np.random.default_rng(take.seed)
    time = np.arange(take.frames) / take.fps
    x, y, roll, yaw, pitch = (_sway_curve(rng, time, period) for period in (2.3, 1.7, 1.9, 1.6, 1.5))
    size = 1 + 0.04 * _sway_curve(rng, time, 2.5)
    ease = time / time[-1]
    ease = ease * ease * (3 - 2 * ease)
    mouth, mouth_width = _speech_curves(rng, time)
    blink, (gaze_x, gaze_y) = _blink_curve(rng, time), _gaze_curves(rng, time)
    brows = np.clip(_sway_curve(rng, time, 1.3), 0, 1)
    return [
        Pose(
            x=float(take.start[0] + take.sway[0] * x[i] + take.drift * ease[i]),
            y=float(take.start[1] + take.sway[1] * y[i]),
            scale=float(take.scale * size[i]),
            roll=float(take.roll * roll[i]),
            yaw=float(take.yaw * yaw[i]),
            pitch=float(take.pitch * pitch[i]),
            mouth=float(mouth[i]),
            mouth_width=float(mouth_width[i]),
            blink=float(blink[i]),
            gaze=(float(gaze_x[i]), float(gaze_y[i])),
            brows=float(brows[i]),
        )
        for i in range(take.frames)
    ]


def _sway_curve(rng: np.random.Generator, time: Curve, period: float) -> Curve:
    """Generate a slow, slightly irregular oscillation in [-1, 1]; `period` is in seconds."""
    first_phase, second_phase = rng.uniform(0, 2 * np.pi, 2)
    rate = 2 * np.pi / (period * rng.uniform(0.85, 1.15))
    curve: Curve = 0.72 * np.sin(rate * time + first_phase) + 0.28 * np.sin(1.9 * rate * time + second_phase)
    return curve


def _speech_curves(rng: np.random.Generator, time: Curve) -> tuple[Curve, Curve]:
    """Generate mouth opening and width: syllables of about a fifth of a second, in phrases with pauses."""
    mouth, mouth_width = np.full(len(time), -0.9), np.zeros(len(time))
    start = rng.uniform(0, 0.15)
    while start < time[-1]:
        length, height = rng.uniform(0.16, 0.27), rng.uniform(0.35, 1.0)
        pulse = np.exp(-0.5 * ((time - start - length / 2) / (0.3 * length)) ** 2)
        mouth += (0.9 + height) * pulse
        mouth_width += rng.uniform(-1, 1) * pulse
        start += length + (rng.uniform(0.25, 0.4) if rng.random() < 0.14 else 0.0)
    return np.clip(mouth, -0.9, 1), np.clip(mouth_width, -1, 1)


def _blink_curve(rng: np.random.Generator, time: Curve) -> Curve:
    """Generate the closure of the eyes in [0, 1]: a short blink every 0.8 to 1.5 seconds."""
    blink = np.zeros(len(time))
    center = rng.uniform(0.3, 0.8)
    while center < time[-1]:
        blink = np.maximum(blink, np.clip(1.7 - np.abs(time - center) / 0.065, 0, 1))
        center += rng.uniform(0.8, 1.5)
    return blink


def _gaze_curves(rng: np.random.Generator, time: Curve) -> tuple[Curve, Curve]:
    """Generate gaze to the right and downward: fixations of half a second, then a jump within two frames."""
    count = int(time[-1] / 0.3) + 2
    jumps = np.cumsum(rng.uniform(0.35, 0.8, count))
    targets = rng.uniform(-1, 1, (count + 1, 2))
    targets[:, 1] *= 0.6
    current = np.searchsorted(jumps, time)
    previous = np.searchsorted(jumps, time - 0.06)
    gaze = (targets[current] + targets[previous]) / 2
    return gaze[:, 0], gaze[:, 1]
