"""Curves over time that motion is composed of: wandering, eased steps, pulses and mixtures of key poses.

All are closed forms of the time in seconds, so a motion does not depend on the frame rate it is sampled at.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]
"""(T,), a value per frame."""
Times = Sequence[float]
"""Times of events in seconds, in ascending order."""

OCTAVE_COMPONENTS = 2.5
"""Sinusoids per octave in `wander`: enough that no single one is recognized."""


def wander(rng: np.random.Generator, time: Curve, slowest: float = 0.1, fastest: float = 2.5) -> Curve:
    """Generate band-limited noise: unit variance over long times, half of it in each octave below the next.

    The displacement between two times grows about as the root of their distance, as it does between the poses
    of real heads from 0.04 to 2 s apart.

    Args:
        rng: generator of the phases and frequencies.
        time: (T,), seconds.
        slowest: lowest frequency in hertz.
        fastest: highest frequency in hertz.
    """
    count = max(3, round(OCTAVE_COMPONENTS * np.log2(fastest / slowest)))
    frequency = slowest * (fastest / slowest) ** ((np.arange(count) + rng.random(count)) / count)
    amplitude = frequency**-0.5
    amplitude *= np.sqrt(2 / np.sum(amplitude**2))
    phase = rng.uniform(0, 2 * np.pi, count)
    curve: Curve = np.cos(2 * np.pi * np.outer(time, frequency) + phase) @ amplitude
    return curve


def ease(time: Curve, start: float, duration: float) -> Curve:
    """Rise from 0 at `start` to 1 after `duration` seconds with the least jerk, as limbs and heads do."""
    part = np.clip((time - start) / duration, 0, 1)
    curve: Curve = part**3 * (10 - 15 * part + 6 * part**2)
    return curve


def plateau(time: Curve, start: float, onset: float, hold: float, offset: float) -> Curve:
    """Rise from 0 to 1 in `onset` seconds, stay for `hold` and fall back in `offset` seconds."""
    return ease(time, start, onset) - ease(time, start + onset + hold, offset)


def steps(time: Curve, starts: Times, values: NDArray[np.float64], durations: Times) -> NDArray[np.float64]:
    """Move from value to value, each from its start and in its duration.

    Args:
        time: (T,), seconds.
        starts: K times in seconds.
        values: (K, C), the goals; the first holds from the beginning.
        durations: K durations in seconds; the first is not used.

    Returns:
        (T, C), float64.
    """
    result = np.repeat(values[:1], len(time), axis=0)
    for start, change, duration in zip(starts[1:], np.diff(values, axis=0), durations[1:], strict=True):
        result += ease(time, start, duration)[:, None] * change
    return result


def blend_keys(
    time: Curve, centers: NDArray[np.float64], widths: NDArray[np.float64], poses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Blend key poses by their closeness in time, so that each colors its neighbors (co-articulation).

    Args:
        time: (T,), seconds.
        centers: (K,), seconds.
        widths: (K,), standard deviations of the keys' influence in seconds.
        poses: (K, C).

    Returns:
        (T, C): mean of the poses weighted by Gaussians of the distance in time.
    """
    exponent = -0.5 * ((time[:, None] - centers) / widths) ** 2
    weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    blended: NDArray[np.float64] = weights @ poses / weights.sum(axis=1, keepdims=True)
    return blended


def draw_times(
    rng: np.random.Generator, start: float, stop: float, shortest: float, mean: float
) -> list[float]:
    """Draw times of events from `start` to `stop`, `shortest` or more and on average `mean` seconds apart."""
    times = []
    time = start + rng.exponential(mean)
    while time < stop:
        times.append(time)
        time += shortest + rng.exponential(max(mean - shortest, 1e-3))
    return times
