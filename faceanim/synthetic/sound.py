"""Voice-like sound that follows a mouth."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

SOUND_RATE = 16_000
"""Sampling rate of the sound, in Hz."""


def synthesize_voice(
    mouth_opening: ArrayLike, mouth_width: ArrayLike, fps: float, seed: int
) -> NDArray[np.float32]:
    """Synthesize a hum with the harmonics of a voice, whose loudness and formants follow the mouth.

    Args:
        mouth_opening: (T,), opening of the mouth per frame: 0 for closed lips (silence), 1 for wide open.
        mouth_width: (T,), width of the mouth per frame: -1 for rounded lips, 1 for a broad mouth.
        fps: frames per second.
        seed: seed of the voice; it sets the pitch, 110 to 212 Hz, and a little breath.

    Returns:
        (T * 16000 / fps,), mono at `SOUND_RATE`, in [-1, 1].
    """
    openings = np.clip(np.asarray(mouth_opening, np.float64), 0, 1)
    widths = np.clip(np.asarray(mouth_width, np.float64), -1, 1)
    time = np.arange(int(len(openings) * SOUND_RATE / fps)) / SOUND_RATE
    frame_times = np.arange(len(openings)) / fps
    opening = np.interp(time, frame_times, openings)
    vowel = np.interp(time, frame_times, widths)
    pitch = 110 + 17 * (seed % 7) + 12 * np.sin(2 * np.pi * 0.7 * time) + 8 * vowel
    phase = 2 * np.pi * np.cumsum(pitch) / SOUND_RATE
    formants = ((500 + 250 * opening, 130.0), (1500 + 500 * vowel, 220.0))
    tone = np.zeros_like(time)
    for harmonic in range(1, 21):
        formant_gain = sum(
            np.exp(-0.5 * ((harmonic * pitch - peak) / width) ** 2) for peak, width in formants
        )
        tone += (0.12 / harmonic + formant_gain) * np.sin(harmonic * phase)
    tone += 0.08 * np.random.default_rng(seed).standard_normal(len(time))
    return np.asarray((0.16 * opening**1.5 * tone).clip(-1, 1), np.float32)
