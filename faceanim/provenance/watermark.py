"""Invisible watermark in the frames of a video. It carries no message, only its presence.

The same fixed pattern is added to every frame: nothing flickers, and a codec has no reason to remove it from
static content (additive spread spectrum, Cox et al., 1997). It consists of the functions with which JPEG and
H.264 code blocks, so that its small energy lies in few coefficients, which are too large to be rounded away.
The reader correlates the mean of the frames with the pattern at every shift (Kalker et al., 1999), so that
crops do not matter; it also tries the mirror image and many scales.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import shake_256
from itertools import islice, takewhile

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.media.frames import Frame

Floats = NDArray[np.float32]

KEY = b"faceanim"
"""Seed of the pattern. If it changes, existing watermarks are no longer found."""
BLOCK = 8
"""Side of the blocks that JPEG and H.264 transform, in pixels."""
PERIOD = 14 * BLOCK
"""Period of the pattern in both directions, in pixels."""
WAVE_NUMBERS = ((2, 2), (2, 3), (3, 2), (1, 3), (3, 1), (0, 3), (3, 0), (0, 4), (4, 0), (1, 4), (4, 1))
"""Half waves in a block, across and down, with wavelengths of 4 to 6 pixels. Images have little energy there,
codecs preserve it, and a resize to three quarters does not remove it."""
STRENGTH, REFERENCE_SIDE, STRENGTH_FALLOFF = 2.0, 128, 0.45
"""Standard deviation of the watermark in a frame of 128x128, in levels (42 dB); that side; and the exponent
by which it falls with the side, because the more pixels there are to read from, the weaker it can be."""
STRENGTH_RANGE = (0.7, 2.45)
"""Bounds of the standard deviation: less would be rounded away; more would give less than 40 dB."""

MAX_FRAMES = 300
"""Number of frames that are read, from the beginning of a video."""
BAND = (0.09, 0.33)
"""Frequencies that are evaluated, in cycles per pixel: those of the pattern."""
NOISE = 4.0
"""Power of the residue of a codec's rounding in regions that look flat, in squared levels."""
SCALE_RANGE, SCALE_STEP = (0.5, 4.0), 1.012
"""Scales that are searched, relative to the marked video, and the factor between adjacent ones."""
MIN_SIDE = 64
"""Smallest side of the marked video that is searched for, in pixels; below it, chance scores higher."""
SEARCH_SIDE = 320
"""Side of the central region in which scales are searched, in pixels: between two scales, its edges are off
by at most one pixel, a fifth of a wave."""
THRESHOLD = 8.0
"""Lowest score that counts as a watermark. At one shift and scale, chance reaches it with a probability of at
most exp(-8**2 / 2) = 1.3e-14, as a sum of random signs (Hoeffding, 1963), or of 6e-16 if it were Gaussian.
Over the 4.4 million shifts and scales that are tried, this is 6e-8 (3e-9) per video."""


class Watermark:
    """Embeds the watermark in frames."""

    def __init__(self) -> None:
        empty = np.empty((0, 0, 3), np.uint8)
        self._lighter, self._darker = empty, empty  # for the size of the last frame

    def mark(self, frame: Frame) -> Frame:
        """Embed the watermark, which changes pixels by up to seven levels in small frames, three at 1280x720.

        Args:
            frame: (H, W, 3) uint8 RGB of any size; below 64x64 the watermark can rarely be read.

        Returns:
            a new frame of the same size; equal inputs give equal outputs.
        """
        if frame.shape != self._lighter.shape:
            self._lighter, self._darker = _make_layers(*frame.shape[:2])
        # Both operations saturate at 0 and 255.
        lighter = cv2.add(np.ascontiguousarray(frame), self._lighter)
        return np.asarray(cv2.subtract(lighter, self._darker), np.uint8)


@dataclass(frozen=True)
class WatermarkReading:
    """Result of a search for the watermark.

    Attributes:
        score: highest correlation of the frames with the pattern, in standard deviations of the correlations
            at other shifts; around 5 by chance.
        threshold: lowest score that is not attributed to chance.
    """

    score: float
    threshold: float = THRESHOLD

    @property
    def found(self) -> bool:
        """Return whether the watermark is present."""
        return self.score >= self.threshold


def read_watermark(frames: Iterable[Frame], limit: int = MAX_FRAMES) -> WatermarkReading:
    """Search a video or a single image for the watermark.

    Memory use is constant, because only the sum of the luma is kept. Summing blurs moving content, but not
    the watermark.

    Args:
        frames: (H, W, 3) uint8 RGB; frames that differ in size from the first are skipped.
        limit: largest number of frames read, from the beginning.

    Raises:
        ValueError: `frames` is empty.
    """
    mean = _average_luma(islice(frames, limit))
    score = _score_luma(mean)
    if score >= THRESHOLD:
        return WatermarkReading(score)
    scales = _list_scales(min(mean.shape))
    return WatermarkReading(max([score, *(_score_luma(_rescale_middle(mean, scale)) for scale in scales)]))


@cache
def _make_pattern() -> Floats:
    """Compute one period of the pattern, (112, 112), with a mean square of 1.

    Of every four blocks, two have one wave of `WAVE_NUMBERS` each, with a random sign: a codec preserves more
    of two waves than of four with half the energy each. The choices are drawn from a hash, which is the same
    everywhere and always.
    """
    side = PERIOD // (2 * BLOCK)
    draws = iter(shake_256(KEY).digest(5 * side * side))
    pairs = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    pattern = np.zeros((PERIOD, PERIOD), np.float32)
    for row in range(0, PERIOD, 2 * BLOCK):
        for column in range(0, PERIOD, 2 * BLOCK):
            for block in pairs[next(draws) % len(pairs)]:
                y, x = row + block // 2 * BLOCK, column + block % 2 * BLOCK
                sign = 1 - 2 * (next(draws) & 1)
                pattern[y : y + BLOCK, x : x + BLOCK] = sign * _make_wave(
                    *WAVE_NUMBERS[next(draws) % len(WAVE_NUMBERS)]
                )
    return pattern


def _make_wave(across: int, down: int) -> Floats:
    """Compute a basis function of the discrete cosine transform, (8, 8), with a mean square of 2."""
    angles = (2 * np.arange(BLOCK) + 1) * np.pi / (2 * BLOCK)
    wave = np.outer(np.cos(down * angles), np.cos(across * angles))
    return np.asarray(wave * np.sqrt(2 / np.mean(wave**2)), np.float32)


def _make_layers(height: int, width: int) -> tuple[Frame, Frame]:
    """Compute the levels by which a frame of that size gets lighter and darker, (H, W, 3) each."""
    strength = float(
        np.clip(STRENGTH * (REFERENCE_SIDE / math.sqrt(height * width)) ** STRENGTH_FALLOFF, *STRENGTH_RANGE)
    )
    repeats = -(-height // PERIOD), -(-width // PERIOD)
    levels = np.rint(strength * np.tile(_make_pattern(), repeats)[:height, :width, None]).repeat(3, axis=2)
    return np.maximum(levels, 0).astype(np.uint8), np.maximum(-levels, 0).astype(np.uint8)


def _average_luma(frames: Iterator[Frame]) -> Floats:
    """Average the luma, (H, W), of the frames that have the size of the first one."""
    first = next(frames, None)
    if first is None:
        raise ValueError("cannot read a watermark without frames")
    total = np.zeros(first.shape[:2], np.float32)
    count = 0
    for frame in _keep_size(first, frames):
        cv2.accumulate(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), total)
        count += 1
    return np.asarray(total / count, np.float32)


def _keep_size(first: Frame, others: Iterator[Frame]) -> Iterator[Frame]:
    yield first
    yield from (frame for frame in others if frame.shape == first.shape)


def _score_luma(luma: Floats) -> float:
    """Score luma (H, W) against the pattern at the best shift, mirrored or not; see `WatermarkReading`."""
    spectrum = np.fft.fft2(_fold_periods(_whiten(luma)))
    size = np.abs(spectrum)
    # Repetitive textures concentrate in few frequencies: this flattens the spectrum halfway.
    flat = spectrum / np.sqrt(size * np.sqrt(_ring_mean(size**2)) + 1e-12)
    return max(_find_peak(np.fft.ifft2(flat * template).real) for template in _make_templates())


def _whiten(luma: Floats) -> Floats:
    """Remove low frequencies from luma and attenuate its textured regions, as a matched filter does."""
    detail = luma - cv2.GaussianBlur(luma, (0, 0), 2)
    power = cv2.GaussianBlur(detail * detail, (0, 0), 2)
    return np.asarray(detail / (power + NOISE), np.float32)


def _fold_periods(plane: Floats) -> Floats:
    """Sum all periods of a plane, (H, W), to one, (112, 112)."""
    height, width = (-(-length // PERIOD) for length in plane.shape)
    whole = np.zeros((height * PERIOD, width * PERIOD), np.float32)
    whole[: plane.shape[0], : plane.shape[1]] = plane
    return np.asarray(whole.reshape(height, PERIOD, width, PERIOD).sum(axis=(0, 2)), np.float32)


@cache
def _frequency_radius() -> NDArray[np.float64]:
    """Compute the cycles per pixel of each frequency, (112, 112)."""
    frequencies = np.fft.fftfreq(PERIOD)
    return np.asarray(np.hypot(frequencies[:, None], frequencies[None]))


def _ring_mean(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the power, (112, 112), over all frequencies of the same radius."""
    rings = np.rint(_frequency_radius() * PERIOD).astype(np.intp)
    means = np.bincount(rings.ravel(), power.ravel()) / np.maximum(np.bincount(rings.ravel()), 1)
    return np.asarray(means[rings])


@cache
def _make_templates() -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Compute the conjugate spectra, within `BAND`, of the pattern and of its mirror image."""
    low, high = BAND
    band = (_frequency_radius() >= low) & (_frequency_radius() <= high)
    upright, mirrored = (
        np.conj(np.fft.fft2(pattern)) * band for pattern in (_make_pattern(), _make_pattern()[:, ::-1])
    )
    return upright, mirrored


def _find_peak(correlation: NDArray[np.float64]) -> float:
    """Find the highest of the correlations at all shifts, (112, 112), in standard deviations of the others.

    The deviation is also taken over only the shifts by whole blocks, and the larger one counts: compressed
    images consist of such waves themselves, and their correlation with the pattern, positive or negative, is
    strongest where their blocks coincide with its blocks.
    """
    power = correlation**2
    blocks = (PERIOD // BLOCK, BLOCK, PERIOD // BLOCK, BLOCK)
    count = blocks[0] * blocks[2]
    sums = np.broadcast_to(power.reshape(blocks).sum(axis=(0, 2), keepdims=True), blocks)
    others = (sums.reshape(power.shape) - power) / (count - 1)
    return float(np.max(correlation / np.sqrt(np.maximum(others, power.mean()) + 1e-30)))


def _list_scales(side: int) -> Iterator[float]:
    """List the scales to search in an image of that shorter side, in geometric steps."""
    low, high = SCALE_RANGE
    steps = math.floor(math.log(high / low) / math.log(SCALE_STEP))
    scales = (low * SCALE_STEP**step for step in range(steps + 1))
    return takewhile(lambda scale: side >= scale * MIN_SIDE, scales)


def _rescale_middle(luma: Floats, scale: float) -> Floats:
    """Crop the center of an image that was enlarged by `scale`, and resize it to its original size."""
    height, width = (min(length, math.ceil(SEARCH_SIDE * scale)) for length in luma.shape)
    top, left = (luma.shape[0] - height) // 2, (luma.shape[1] - width) // 2
    middle = luma[top : top + height, left : left + width]
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    # Factors instead of a size, because the sides are rounded and would distort the scale.
    factors = {"fx": 1 / scale, "fy": 1 / scale}
    return np.asarray(cv2.resize(middle, None, **factors, interpolation=method), np.float32)
