"""Frames of FFmpeg's decoders as upright frames with square pixels, in the colors of ordinary video."""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache, cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from faceanim.media.colors import BT2020_NCL, UNSPECIFIED, ColorTags, assume_matrix, to_display_signal
from faceanim.media.frames import (
    FULL_RANGE,
    DecodedFrame,
    Frame,
    FramePool,
    PlanarFrame,
    Plane,
    RgbFrame,
    frame_time,
    quantize,
    view_planes,
    yuv_from_av_frame,
    yuv_to_rgb_matrix,
)

_NO_ASPECT_CHANGE = Fraction(1, 100)
"""Largest deviation from square pixels that is ignored: it comes from the rounding of a display size."""
_MAX_ASPECT = 4
"""Largest stretch of pixels that is believed; those of real files are below 3."""


@dataclass(frozen=True)
class FrameLayout:
    """Layout of decoded frames, from which they become upright, with square pixels and ordinary colors.

    Attributes:
        pixel_aspect: width of a stored pixel relative to its height.
        rotation: counter-clockwise quarter turns.
        colors: description of the colors.
    """

    pixel_aspect: Fraction = Fraction(1)
    rotation: int = 0
    colors: ColorTags = field(default_factory=ColorTags)

    @property
    def is_plain(self) -> bool:
        """True if frames are shown as they are stored."""
        return self == FrameLayout(colors=self.colors) and not self.colors.need_conversion

    def compute_size(self, width: int, height: int) -> tuple[int, int]:
        """Compute the displayed width and height of a stored frame, in pixels."""
        width = max(round(width * self.pixel_aspect), 1)
        return (height, width) if self.rotation % 2 else (width, height)


def usable_aspect(pixel_aspect: Fraction | None) -> Fraction | None:
    """Return the pixel aspect ratio to apply, 1 for square pixels or none; None if the ratio is absurd."""
    if not pixel_aspect or abs(pixel_aspect - 1) < _NO_ASPECT_CHANGE:
        return Fraction(1)
    return pixel_aspect if Fraction(1, _MAX_ASPECT) <= pixel_aspect <= _MAX_ASPECT else None


def from_av_frame(frame: Any, layout: FrameLayout, reformatter: VideoReformatter) -> DecodedFrame:
    """Wrap a PyAV frame; 8-bit RGB and palettes are kept exactly where pixels are square and colors ordinary.

    Args:
        frame: decoded frame of any pixel format.
        layout: layout of the video's frames.
        reformatter: resizer, shared by the frames of the video.
    """
    size = layout.compute_size(frame.width, frame.height)
    return _wrap(frame, layout, reformatter).resize(size)


def _wrap(frame: Any, layout: FrameLayout, reformatter: VideoReformatter) -> DecodedFrame:
    if layout.colors.need_conversion:
        return _wrap_wide(frame, layout, reformatter)
    if frame.format.has_palette or (frame.format.is_rgb and _max_bits(frame) == 8):
        upright = np.rot90(frame.to_ndarray(format="rgb24"), layout.rotation)
        return RgbFrame(np.ascontiguousarray(upright), frame_time(frame))
    wrapped = yuv_from_av_frame(frame, layout.rotation, reformatter)
    if wrapped.colorspace != UNSPECIFIED:
        return wrapped
    matrix = layout.colors.matrix
    assumed = assume_matrix(frame.width, frame.height) if matrix == UNSPECIFIED else matrix
    return replace(wrapped, colorspace=assumed)


def _max_bits(frame: Any) -> int:
    bits: int = max(component.bits for component in frame.format.components)
    return bits


@dataclass(frozen=True)
class WideFrame(PlanarFrame):
    """A `DecodedFrame` of wide gamut or high dynamic range, converted where and at the size it is used.

    Attributes:
        planes: uint16.
        bits: 10 or 16, of the values in the planes.
        colors: description of the colors.
        is_full_range: True if black is 0 and white the largest value.
    """

    bits: int
    colors: ColorTags
    is_full_range: bool

    @cached_property
    def luma(self) -> Plane:
        """Luma plane, (H, W), tone-mapped as that of a gray picture: faces are found in it."""
        return _luma_table(self.colors, self.bits, self.is_full_range)[self.planes[0]]

    def copy(self, pool: FramePool) -> "WideFrame":
        """Copy the planes into memory of the pool."""
        y, u, v = (
            pool.copy(np.ascontiguousarray(plane).view(np.uint8)).view(np.uint16) for plane in self.planes
        )
        return replace(self, planes=(y, u, v))

    def to_rgb(self, size: tuple[int, int] | None = None) -> Frame:
        """Convert to RGB at a width and height."""
        merged = self.merge(f"yuv420p{self.bits}le", f"yuv444p{self.bits}le", size)
        matrix = _signal_matrix(self.colors.matrix, self.bits, self.is_full_range)
        signal = np.asarray(cv2.transform(merged.astype(np.float32), matrix))
        return quantize(to_display_signal(signal, self.colors))


def _wrap_wide(frame: Any, layout: FrameLayout, reformatter: VideoReformatter) -> WideFrame:
    """Wrap a frame whose colors must be converted, keeping up to 16 bits."""
    bits = 10 if _max_bits(frame) <= 10 else 16
    matrix, is_full_range = layout.colors.matrix, int(frame.color_range) == FULL_RANGE
    is_full_range |= frame.format.name.startswith("yuvj")
    if frame.format.is_rgb or frame.format.has_palette:
        matrix, is_full_range = int(Colorspace.ITU709), True
    elif matrix == UNSPECIFIED:
        matrix = BT2020_NCL
    time, pixel_format = frame_time(frame), f"yuv420p{bits}le"
    if frame.format.name != pixel_format:
        color_range = ColorRange.JPEG if is_full_range else ColorRange.MPEG
        frame = frame.reformat(
            format=pixel_format,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=color_range,
            dst_color_range=color_range,
            threads=1,
        )
    colors = ColorTags(layout.colors.primaries, layout.colors.transfer, matrix)
    planes = view_planes(frame, layout.rotation, np.uint16)
    return WideFrame(planes, time, reformatter, bits, colors, is_full_range)


@cache
def _signal_matrix(matrix: int, bits: int, is_full_range: bool) -> npt.NDArray[np.float64]:
    """Return the affine map from Y, U, V of some bits to R, G, B in [0, 1], (3, 4)."""
    unit = 2 ** (bits - 8)
    linear = yuv_to_rgb_matrix(matrix, is_full_range)[:, :3] / 255
    linear = linear * 255 / (2**bits - 1) if is_full_range else linear / unit
    zero = np.array([[0 if is_full_range else 16], [128], [128]]) * unit
    return np.hstack([linear, -linear @ zero])


@cache
def _luma_table(colors: ColorTags, bits: int, is_full_range: bool) -> Plane:
    """Tabulate the 8-bit luma of a gray picture by its luma of some bits, in the same range."""
    luma = np.arange(2**bits, dtype=np.float32)
    white, black = (2**bits - 1, 0) if is_full_range else (235 << (bits - 8), 16 << (bits - 8))
    signal = np.clip((luma - black) / (white - black), 0, 1)
    shown = to_display_signal(np.repeat(signal[None, :, None], 3, axis=2), colors)[0, :, 1]
    low, high = (0, 255) if is_full_range else (16, 235)
    return np.rint(low + shown * (high - low)).astype(np.uint8)
