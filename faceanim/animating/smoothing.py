"""Taking the jitter out of keypoints, and no movement with it."""

import numpy as np
from numpy.typing import NDArray

from faceanim.animating.points import Floats, Points

STILL_HZ = 0.5
"""Cutoff for a face at rest: what shakes faster is noise."""
QUICKNESS = 12.0
"""How much the cutoff rises with speed, in Hz for one crop side (2 units) a second times pi."""
SPEED_HZ = 1.5
"""Cutoff for the speed itself, which noise makes up."""


def smoothed(points: Points, times: NDArray[np.float64], strength: float = 1.0) -> Points:
    """Smooth the keypoints of a video by the one-euro filter (Casiez et al., 2012), without its lag.

    The filter is a low pass whose cutoff rises with speed: slow is smoothed, fast is followed. It is run
    from both ends, and the mean taken: each run lags by as much in its direction, and the two cancel.

    Args:
        points: of N frames.
        times: (N,), of each frame, in seconds, rising.
        strength: divides the cutoffs; 0 leaves all as it is.
    """
    if strength == 0 or len(points) < 3:
        return points
    flat = points.value if points.jacobian is None else _flat(points)
    forth = _one_euro(flat, np.diff(times), strength)
    back = _one_euro(flat[::-1], np.diff(times)[::-1], strength)[::-1]
    mean = ((forth + back) / 2).astype(np.float32)
    if points.jacobian is None:
        return Points(mean)
    return Points(mean[..., :2], mean[..., 2:].reshape(points.jacobian.shape))


def _flat(points: Points) -> Floats:
    """Positions and jacobians of each keypoint, (N, K, 6)."""
    assert points.jacobian is not None
    return np.concatenate((points.value, points.jacobian.reshape(*points.value.shape[:2], 4)), axis=-1)


def _one_euro(track: Floats, steps: NDArray[np.float64], strength: float) -> Floats:
    """One run over (N, K, C), of which the first two are a position; how fast that is decides for all."""
    out = np.empty_like(track)
    out[0] = last = track[0]
    velocity = np.zeros_like(track[0, :, :2])
    for number, step in enumerate(steps, start=1):
        if step <= 0:
            out[number] = last
            continue
        moved = (track[number, :, :2] - track[number - 1, :, :2]) / step
        velocity = velocity + _share(SPEED_HZ, step) * (moved - velocity)
        speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
        share = _share((STILL_HZ + QUICKNESS * speed) / strength, step)
        out[number] = last = last + share * (track[number] - last)
    return out


def _share(cutoff_hz: Floats | float, step_s: float) -> Floats:
    """How far a first-order low pass goes towards a new value in a time step, 0 to 1."""
    rate = 2 * np.pi * np.asarray(cutoff_hz, np.float32) * np.float32(step_s)
    return np.asarray(rate / (rate + 1), np.float32)
