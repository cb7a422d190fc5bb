"""An invisible watermark: whether it is in a video's frames is all that it says.

Written is a fixed pattern, the same into every frame: nothing flickers, and a codec has no reason to take it
out of what stands still (additive spread spectrum, Cox et al., 1997). It is made of the functions that JPEG
and H.264 code blocks with: what little energy it may have is in few coefficients, too large to be rounded
away. The reader asks how well the mean of the frames goes with the pattern at each shift (Kalker et al.,
1999: so crops don't matter), as it is or mirrored, and at many scales.
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
"""What the pattern is drawn from. With another one, nothing that was marked before is read any more."""
BLOCK = 8
"""Pixels: side of the blocks that JPEG and H.264 transform."""
PERIOD = 14 * BLOCK
"""Pixels after which the pattern repeats."""
WAVE_NUMBERS = ((2, 2), (2, 3), (3, 2), (1, 3), (3, 1), (0, 3), (3, 0), (0, 4), (4, 0), (1, 4), (4, 1))
"""Half waves in a block, across and down: lengths of 4 to 6 pixels. Pictures have little there, codecs keep
it, and a resize to three quarters leaves it."""
STRENGTH, REFERENCE_SIDE, STRENGTH_FALLOFF = 2.0, 128, 0.45
"""Deviation in levels in a frame of 128x128 (42 dB). It falls with the side: where there is more to read
from, less has to be written."""
STRENGTH_RANGE = (0.7, 2.45)
"""Less would be rounded away; more would be below 40 dB."""

MAX_FRAMES = 300
"""Of a video, from its beginning, that are read."""
BAND = (0.09, 0.33)
"""Cycles per pixel that are looked at: those that the pattern has."""
NOISE = 4.0
"""Levels squared: what a codec's rounding leaves in parts that look flat."""
SCALE_RANGE, SCALE_STEP = (0.5, 4.0), 1.012
"""How much smaller or larger than written a video may be."""
MIN_SIDE = 64
"""Pixels that there have to have been before: in fewer, chance scores higher."""
SEARCH_SIDE = 320
"""Pixels of the middle in which scales are searched: between two of them, its edges are off by a pixel at
most, a fifth of a wave."""
THRESHOLD = 8.0
"""At one shift and scale, chance scores as high with a probability of exp(-8**2 / 2) = 1.3e-14 at most, as a
sum of random signs (Hoeffding, 1963); were it Gaussian, with 6e-16. Over the 4.4 million that are tried, that
is 6e-8 (3e-9) for each video."""


class Watermark:
    """Writes the mark into frames."""

    def __init__(self) -> None:
        empty = np.empty((0, 0, 3), np.uint8)
        self._lighter, self._darker = empty, empty  # of the last frame's size

    def mark(self, frame: Frame) -> Frame:
        """The frame with the mark: up to seven levels lighter or darker where it is small, three at 1280x720.

        Args:
            frame: (H, W, 3) uint8 RGB of any size; below 64x64 the mark is hardly ever read.

        Returns:
            a new frame of that size; equal frames give equal ones.
        """
        if frame.shape != self._lighter.shape:
            self._lighter, self._darker = _make_layers(*frame.shape[:2])
        # Both stop at 0 and 255.
        lighter = cv2.add(np.ascontiguousarray(frame), self._lighter)
        return np.asarray(cv2.subtract(lighter, self._darker), np.uint8)


@dataclass(frozen=True)
class WatermarkReading:
    """What was read.

    Attributes:
        score: how well the frames go with the pattern where they do best, in standard deviations of how well
            they go with it elsewhere; around 5 by chance.
        threshold: from where on that is no chance.
    """

    score: float
    threshold: float = THRESHOLD

    @property
    def found(self) -> bool:
        """Whether the mark is there."""
        return self.score >= self.threshold


def read_watermark(frames: Iterable[Frame], limit: int = MAX_FRAMES) -> WatermarkReading:
    """Look for the mark in a video or in one picture.

    Memory is flat: kept is the sum of the frames' brightness. What moves is blurred in it, the mark is not.

    Args:
        frames: (H, W, 3) uint8 RGB; those of another size than the first are left out.
        limit: how many are taken at most, from the beginning.

    Raises:
        ValueError: there is no frame.
    """
    mean = _average_luma(islice(frames, limit))
    score = _score_luma(mean)
    if score >= THRESHOLD:
        return WatermarkReading(score)
    scales = _list_scales(min(mean.shape))
    return WatermarkReading(max([score, *(_score_luma(_rescale_middle(mean, scale)) for scale in scales)]))


@cache
def _make_pattern() -> Floats:
    """One period of the pattern, (112, 112), with a mean square of 1.

    Of four blocks two have a wave each, any of `WAVES`, with either sign: a codec leaves more of two than of
    four with half the energy each. It is drawn from a hash, which is the same everywhere and always.
    """
    side = PERIOD // (2 * BLOCK)
    draws = iter(shake_256(KEY).digest(5 * side * side))
    pairs = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    pattern = np.zeros((PERIOD, PERIOD), np.float32)
    for row in range(0, PERIOD, 2 * BLOCK):
        for column in range(0, PERIOD, 2 * BLOCK):
            for place in pairs[next(draws) % len(pairs)]:
                y, x = row + place // 2 * BLOCK, column + place % 2 * BLOCK
                sign = 1 - 2 * (next(draws) & 1)
                pattern[y : y + BLOCK, x : x + BLOCK] = sign * _make_wave(
                    *WAVE_NUMBERS[next(draws) % len(WAVE_NUMBERS)]
                )
    return pattern


def _make_wave(across: int, down: int) -> Floats:
    """A function of the cosine transform, (8, 8), with a mean square of 2."""
    angles = (2 * np.arange(BLOCK) + 1) * np.pi / (2 * BLOCK)
    wave = np.outer(np.cos(down * angles), np.cos(across * angles))
    return np.asarray(wave * np.sqrt(2 / np.mean(wave**2)), np.float32)


def _make_layers(height: int, width: int) -> tuple[Frame, Frame]:
    """What a frame of that size becomes lighter and darker by, (H, W, 3) each."""
    strength = float(
        np.clip(STRENGTH * (REFERENCE_SIDE / math.sqrt(height * width)) ** STRENGTH_FALLOFF, *STRENGTH_RANGE)
    )
    repeats = -(-height // PERIOD), -(-width // PERIOD)
    levels = np.rint(strength * np.tile(_make_pattern(), repeats)[:height, :width, None]).repeat(3, axis=2)
    return np.maximum(levels, 0).astype(np.uint8), np.maximum(-levels, 0).astype(np.uint8)


def _average_luma(frames: Iterator[Frame]) -> Floats:
    """The mean brightness, (H, W), of the frames that are of the first one's size."""
    first = next(frames, None)
    if first is None:
        raise ValueError("there is no frame to read a mark from")
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
    """How well brightness (H, W) goes with the pattern, at the best shift, mirrored or not; see `Reading`."""
    spectrum = np.fft.fft2(_fold_periods(_whiten(luma)))
    size = np.abs(spectrum)
    # Textures that repeat are few frequencies: half way to none being louder than another.
    flat = spectrum / np.sqrt(size * np.sqrt(_ring_mean(size**2)) + 1e-12)
    return max(_find_peak(np.fft.ifft2(flat * template).real) for template in _make_templates())


def _whiten(luma: Floats) -> Floats:
    """Brightness without what is broad in it, and with less where it is busy: a matched filter's weights."""
    detail = luma - cv2.GaussianBlur(luma, (0, 0), 2)
    power = cv2.GaussianBlur(detail * detail, (0, 0), 2)
    return np.asarray(detail / (power + NOISE), np.float32)


def _fold_periods(plane: Floats) -> Floats:
    """The sum of all periods, (112, 112)."""
    height, width = (-(-length // PERIOD) for length in plane.shape)
    whole = np.zeros((height * PERIOD, width * PERIOD), np.float32)
    whole[: plane.shape[0], : plane.shape[1]] = plane
    return np.asarray(whole.reshape(height, PERIOD, width, PERIOD).sum(axis=(0, 2)), np.float32)


@cache
def _frequency_radius() -> NDArray[np.float64]:
    """Cycles per pixel of each frequency, (112, 112)."""
    frequencies = np.fft.fftfreq(PERIOD)
    return np.asarray(np.hypot(frequencies[:, None], frequencies[None]))


def _ring_mean(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each frequency the mean over those that are as high."""
    rings = np.rint(_frequency_radius() * PERIOD).astype(np.intp)
    means = np.bincount(rings.ravel(), power.ravel()) / np.maximum(np.bincount(rings.ravel()), 1)
    return np.asarray(means[rings])


@cache
def _make_templates() -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """The pattern's conjugate spectrum in the band, and its mirror image's."""
    low, high = BAND
    band = (_frequency_radius() >= low) & (_frequency_radius() <= high)
    upright, mirrored = (
        np.conj(np.fft.fft2(each)) * band for each in (_make_pattern(), _make_pattern()[:, ::-1])
    )
    return upright, mirrored


def _find_peak(correlation: NDArray[np.float64]) -> float:
    """The highest of the correlations at all shifts, (112, 112), in standard deviations of the others.

    And of those alone that are whole blocks away: compressed pictures are made of such waves themselves, and
    go with the pattern, well or badly, above all where their blocks lie on its own.
    """
    power = correlation**2
    blocks = (PERIOD // BLOCK, BLOCK, PERIOD // BLOCK, BLOCK)
    count = blocks[0] * blocks[2]
    alike = np.broadcast_to(power.reshape(blocks).sum(axis=(0, 2), keepdims=True), blocks)
    others = (alike.reshape(power.shape) - power) / (count - 1)
    return float(np.max(correlation / np.sqrt(np.maximum(others, power.mean()) + 1e-30)))


def _list_scales(side: int) -> Iterator[float]:
    """Scales to search in a picture of that shorter side, each a step above the last."""
    low, high = SCALE_RANGE
    steps = math.floor(math.log(high / low) / math.log(SCALE_STEP))
    scales = (low * SCALE_STEP**step for step in range(steps + 1))
    return takewhile(lambda scale: side >= scale * MIN_SIDE, scales)


def _rescale_middle(luma: Floats, scale: float) -> Floats:
    """The middle of a picture that has been enlarged by `scale`, at the size that it had before."""
    height, width = (min(length, math.ceil(SEARCH_SIDE * scale)) for length in luma.shape)
    top, left = (luma.shape[0] - height) // 2, (luma.shape[1] - width) // 2
    middle = luma[top : top + height, left : left + width]
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    # Both sides are rounded; the factors are not.
    factors = {"fx": 1 / scale, "fy": 1 / scale}
    return np.asarray(cv2.resize(middle, None, **factors, interpolation=method), np.float32)
