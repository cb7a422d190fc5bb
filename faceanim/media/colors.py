"""Colors of wide gamut or high dynamic range, converted to those of ordinary video and of sRGB images.

Numbers are those of ITU-T H.273, which video, HEIC, AVIF and PNG files share. 203 cd/m2, the reference white
of ITU-R BT.2408, becomes white. What is brighter or outside of the gamut is clipped channel by channel, so
that colors within the range of ordinary video come out unchanged.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating[Any]]
"""Samples of any shape; signals are in [0, 1], light is relative to white."""
Matrix = npt.NDArray[np.float64]
"""(3, 3)."""
Chromaticities = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
"""x and y of red, green, blue and white."""

REFERENCE_WHITE = 203.0
"""Luminance of what ordinary video shows as white, in cd/m2 (ITU-R BT.2408)."""
HLG_PEAK = 1000.0
"""Peak luminance of the display for which HLG is rendered, in cd/m2."""
HLG_GAMMA = 1.2
"""System gamma of HLG on that display.

It is applied to each channel, as FFmpeg does by default. ITU-R BT.2100 applies it to the luminance, which
makes skin a few levels less saturated.
"""
DISPLAY_GAMMA = 2.4
"""Exponent of an ordinary video's display (ITU-R BT.1886), whichever camera curve its file names."""

BT709, UNSPECIFIED, BT601, BT2020, BT2020_NCL = 1, 2, 6, 9, 9
LINEAR, LOG_100, LOG_316, PQ, DCI, HLG = 8, 9, 10, 16, 17, 18

D65, ILLUMINANT_C = (0.3127, 0.3290), (0.310, 0.316)
SRGB_PRIMARIES: Chromaticities = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65)
PRIMARIES: dict[int, Chromaticities] = {
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), ILLUMINANT_C),  # NTSC of 1953
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), ILLUMINANT_C),  # film
    BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),  # CIE XYZ
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),  # DCI-P3
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),  # Display P3
}
"""Primaries that differ visibly from those of BT.709.

Those of PAL, SMPTE 170M and EBU 3213 (5, 6, 7, 22) are near enough: skin differs by less than two levels.
"""
_NO_PRIMARIES = frozenset({0, UNSPECIFIED, 3})
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

_CONVERTIBLE_MATRICES = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
_MATRIX_NAMES = {10: "BT.2020 of constant luminance", 14: "ICtCp", 15: "IPT-C2 (Dolby Vision)"}

_TABLE_SIZE = 1 << 14
"""Entries of the tables of light by signal, finer than 12 bits."""


@dataclass(frozen=True)
class ColorTags:
    """Description of the colors of a video or an image, by numbers of ITU-T H.273.

    Attributes:
        primaries: red, green, blue and white of the color space.
        transfer: curve between light and signal.
        matrix: relation of luma and chroma to red, green and blue.
    """

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED

    @property
    def need_conversion(self) -> bool:
        """True if the signal differs visibly from that of ordinary video or of an sRGB image."""
        return self.primaries in PRIMARIES or self.transfer in _LIGHT

    @property
    def chromaticities(self) -> Chromaticities:
        """Primaries and white; those of BT.2020 for a PQ or HLG signal that names none."""
        if self.primaries in _NO_PRIMARIES and self.transfer in (PQ, HLG):
            return PRIMARIES[BT2020]
        return PRIMARIES.get(self.primaries, SRGB_PRIMARIES)

    @property
    def obstacle(self) -> str | None:
        """Description of what cannot be converted; None if everything can."""
        if self.matrix in _CONVERTIBLE_MATRICES:
            return None
        return f"color matrix {_MATRIX_NAMES.get(self.matrix, self.matrix)}"


def assume_matrix(width: int, height: int) -> int:
    """Return the matrix that players assume of a video that names none: BT.709 from high definition on."""
    return BT709 if width >= 1280 or height > 576 else BT601


def to_display_signal(signal: Values, tags: ColorTags) -> Values:
    """Convert R, G, B of a video to those of BT.709 primaries and ordinary dynamic range.

    Args:
        signal: (H, W, 3), float32 in [0, 1].
        tags: what the signal is.

    Returns:
        (H, W, 3), float32 in [0, 1].
    """
    light = to_light(signal, tags.transfer)
    matrix = compute_gamut_matrix(tags.chromaticities).astype(np.float32)
    return to_signal(np.clip(np.asarray(cv2.transform(light, matrix)), 0, 1))


def to_signal(light: Values, gamma: float | None = DISPLAY_GAMMA) -> Values:
    """Convert light in [0, 1] to a signal for a display of this exponent; None: of sRGB."""
    if gamma is None:
        return np.where(light <= 0.0031308, light * 12.92, 1.055 * _power(light, 1 / 2.4) - 0.055)
    return _power(light, 1 / gamma)


@lru_cache
def compute_gamut_matrix(primaries: Chromaticities) -> Matrix:
    """Compute the matrix from light in these primaries to light in those of BT.709, white remaining white."""
    source, target = _to_xyz_matrix(primaries), _to_xyz_matrix(SRGB_PRIMARIES)
    cones = [_BRADFORD @ matrix.sum(1) for matrix in (target, source)]
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag(cones[0] / cones[1]) @ _BRADFORD
    return np.asarray(np.linalg.inv(target) @ adaptation @ source)


def _to_xyz_matrix(primaries: Chromaticities) -> Matrix:
    """Compute the matrix from R, G, B to X, Y, Z whose columns add up to the white."""
    red, green, blue, white = (np.array([x, y, 1 - x - y]) for x, y in primaries)
    columns = np.stack([red, green, blue], axis=1)
    return columns * np.linalg.solve(columns, white / white[1])


def to_light(signal: Values, transfer: int, gamma: float | None = DISPLAY_GAMMA) -> npt.NDArray[np.float32]:
    """Convert a signal in [0, 1] to light, 1 being the white of ordinary video and images.

    Args:
        signal: values of any shape.
        transfer: number of the curve.
        gamma: exponent of the display of an ordinary signal; None: that of sRGB.
    """
    table = _light_table(transfer, gamma)
    index = np.clip(signal * (_TABLE_SIZE - 1) + 0.5, 0, _TABLE_SIZE - 1).astype(np.uint16)
    return np.asarray(table[index])


@lru_cache
def _light_table(transfer: int, gamma: float | None) -> npt.NDArray[np.float32]:
    """Tabulate light by signal."""
    signal = np.linspace(0, 1, _TABLE_SIZE)
    curve = _LIGHT.get(transfer)
    if curve is not None:
        light = curve(signal)
    elif gamma is None:
        light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    else:
        light = signal**gamma
    return light.astype(np.float32)


def _pq_light(signal: Values) -> Values:
    """Compute the light of a PQ signal (SMPTE ST 2084)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    light: Values = 10_000 / REFERENCE_WHITE * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return light


def _hlg_light(signal: Values) -> Values:
    """Compute the light of an HLG signal (ITU-R BT.2100)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return HLG_PEAK / REFERENCE_WHITE * scene**HLG_GAMMA


def _log_light(decades: float) -> Callable[[Values], Values]:
    """Return the curve of a logarithmic signal over so many decades of light."""
    return lambda signal: np.where(signal > 0, 10 ** (decades * (signal - 1)), 0)


_LIGHT: dict[int, Callable[[Values], Values]] = {
    LINEAR: lambda signal: signal,
    LOG_100: _log_light(2),
    LOG_316: _log_light(2.5),
    PQ: _pq_light,
    DCI: lambda signal: 52.37 / 48 * signal**2.6,
    HLG: _hlg_light,
}
"""Curves that differ visibly from that of ordinary video; all others are displayed alike."""


def _power(values: Values, exponent: float) -> Values:
    """Raise values of 0 or more to a power, several times as fast as NumPy."""
    return np.asarray(cv2.pow(np.ascontiguousarray(values, np.float32), exponent)).reshape(values.shape)
