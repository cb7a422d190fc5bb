"""Decoded pictures as the tracker and the cropper want them: brightness for nothing, colour when asked.

Turning whole frames into RGB costs about as much as decoding them, and the tracker needs brightness alone.
"""

import weakref
from collections import deque
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, cached_property
from typing import Any, ClassVar, Protocol

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from faceanim.media.boxes import Box

Frame = npt.NDArray[np.uint8]
"""(H, W, 3), RGB."""
Frames = npt.NDArray[np.uint8]
"""(N, H, W, 3), RGB, or one of them."""
Plane = npt.NDArray[np.uint8]
"""(H, W)."""

_PLANAR = frozenset({"yuv420p", "yuvj420p"})
_FULL = int(ColorRange.JPEG)
_BT601 = (0.299, 0.114)
_LUMA_WEIGHTS = {1: (0.2126, 0.0722), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
"""Of red and blue, by FFmpeg's number of the matrix; all others, and what does not say, are BT.601's."""

_BLOCK = 32 * 2**20
"""Bytes; the system gives out a block of that size in huge pages."""
_MAX_SPARE_BLOCKS = 8
"""Blocks without a picture that a process does not give back to the system."""


class FramePool:
    """Where pictures are kept, in blocks that are used again when no picture in them is left.

    Fresh memory has to be cleared by the system: that takes longer than to copy a picture into it, and in
    small pieces, on some machines, a third as long as to decode one.
    """

    # One for all of a process: the next video wants them too.
    _spare: ClassVar[deque[memoryview]] = deque(maxlen=_MAX_SPARE_BLOCKS)

    def __init__(self) -> None:
        self._free = np.empty(0, np.uint8)  # what is left of the block in use

    def copy(self, values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The same values in memory of their own."""
        if self._free.size < values.size:
            self._free = self._lease(values.size)
        copied = self._free[: values.size].reshape(values.shape)
        self._free = self._free[values.size :]
        copied[...] = values
        return copied

    def _lease(self, size: int) -> npt.NDArray[np.uint8]:
        """A block as an array; the block is spare when the last view of that array is gone."""
        if size > _BLOCK:
            return np.empty(size, np.uint8)
        try:
            block = self._spare.pop()
        except IndexError:
            block = np.empty(_BLOCK, np.uint8).data
        # Views of an array refer to what owns its memory, if that is an array too; so it is a memoryview.
        lease = np.frombuffer(block, np.uint8)
        weakref.finalize(lease, self._spare.append, block).atexit = False
        return lease


class DecodedFrame(Protocol):
    """One decoded, upright frame."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""

    @property
    def time(self) -> Fraction | None:
        """When it is shown, in seconds on the file's clock; None where the decoder does not say."""

    @property
    def nbytes(self) -> int:
        """How much memory it holds."""

    @property
    def luma(self) -> Plane:
        """Its brightness, (H, W)."""

    def crop(self, box: Box) -> "DecodedFrame":
        """The part inside a box of even whole pixels that lies in the frame; its memory is the frame's."""

    def copy(self, memory: FramePool) -> "DecodedFrame":
        """The picture in memory of its own."""

    def to_rgb(self, size: tuple[int, int] | None = None) -> Frame:
        """The picture in colour, at a width and height: shrinking averages areas, enlarging is bicubic."""


@dataclass(frozen=True)
class RgbFrame:
    """A picture that its decoder gives in colour."""

    frame: Frame
    time: None = None

    @property
    def size(self) -> tuple[int, int]:
        """See `Picture`."""
        return self.frame.shape[1], self.frame.shape[0]

    @property
    def nbytes(self) -> int:
        """See `Picture`."""
        return self.frame.nbytes

    @cached_property
    def luma(self) -> Plane:
        """See `Picture`."""
        return np.asarray(cv2.cvtColor(self.frame, cv2.COLOR_RGB2GRAY), np.uint8)

    def crop(self, box: Box) -> "RgbFrame":
        """See `Picture`."""
        x0, y0, x1, y1 = (int(edge) for edge in box)
        return RgbFrame(self.frame[y0:y1, x0:x1])

    def copy(self, memory: FramePool) -> "RgbFrame":
        """See `Picture`."""
        return RgbFrame(memory.copy(self.frame))

    def to_rgb(self, size: tuple[int, int] | None = None) -> Frame:
        """See `Picture`."""
        if size is None or size == self.size:
            return self.frame
        shrinking = size[0] < self.size[0]
        method = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(self.frame, size, interpolation=method), np.uint8)


@dataclass(frozen=True)
class YuvFrame:
    """A picture in planes, as nearly every video stores it: brightness, and two of colour at half the size.

    Attributes:
        planes: Y (H, W), U and V (H / 2, W / 2, rounded up).
        colorspace: FFmpeg's number of the matrix that gives RGB.
        color_range: FFmpeg's number of the range of values.
        time: see `Picture`.
        reformatter: resizes; it keeps its tables from one picture of a video to the next.
    """

    planes: tuple[Plane, Plane, Plane]
    colorspace: int
    color_range: int
    time: Fraction | None
    reformatter: VideoReformatter

    @property
    def size(self) -> tuple[int, int]:
        """See `Picture`."""
        return self.luma.shape[1], self.luma.shape[0]

    @property
    def nbytes(self) -> int:
        """See `Picture`."""
        return sum(plane.nbytes for plane in self.planes)

    @property
    def luma(self) -> Plane:
        """See `Picture`."""
        return self.planes[0]

    def crop(self, box: Box) -> "YuvFrame":
        """See `Picture`."""
        x0, y0, x1, y1 = (int(edge) for edge in box)
        y, u, v = self.planes
        half = (slice(y0 // 2, (y1 + 1) // 2), slice(x0 // 2, (x1 + 1) // 2))
        return replace(self, planes=(y[y0:y1, x0:x1], u[half], v[half]))

    def copy(self, memory: FramePool) -> "YuvFrame":
        """See `Picture`."""
        y, u, v = self.planes
        return replace(self, planes=(memory.copy(y), memory.copy(u), memory.copy(v)))

    def to_rgb(self, size: tuple[int, int] | None = None) -> Frame:
        """See `Picture`."""
        width, height = size or self.size
        frame = av.VideoFrame(*self.size, "yuv420p")
        for plane, values in zip(frame.planes, self.planes, strict=True):
            _fill_plane(plane, values)
        method = Interpolation.AREA if width < self.size[0] else Interpolation.BICUBIC
        resized = self.reformatter.reformat(frame, width, height, "yuv444p", interpolation=method, threads=1)
        planes = [_view_plane(plane, width, height) for plane in resized.planes]
        matrix = _yuv_to_rgb_matrix(self.colorspace, self.color_range == _FULL)
        return np.asarray(cv2.transform(cv2.merge(planes), matrix), np.uint8)


@cache
def _yuv_to_rgb_matrix(colorspace: int, is_full_range: bool) -> npt.NDArray[np.float64]:
    """The affine map from Y, U, V in [0, 255] to R, G, B, (3, 4), as ITU-T H.273 defines it.

    FFmpeg's own fast conversion is up to two levels too dark, its exact one four times as slow.
    """
    red, blue = _LUMA_WEIGHTS.get(colorspace, _BT601)
    green = 1 - red - blue
    luma, chroma, black = (1.0, 1.0, 0.0) if is_full_range else (255 / 219, 255 / 224, 16.0)
    u = np.array([0, -2 * blue * (1 - blue) / green, 2 * (1 - blue)]) * chroma
    v = np.array([2 * (1 - red), -2 * red * (1 - red) / green, 0]) * chroma
    linear = np.stack([np.full(3, luma), u, v], axis=1)
    return np.hstack([linear, -linear @ [[black], [128.0], [128.0]]])


def _fill_plane(plane: Any, values: Plane) -> None:
    """Write values into an FFmpeg plane, whose lines may be longer than they look."""
    lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    lines[: values.shape[0], : values.shape[1]] = values


def from_av_frame(frame: Any, turns: int, reformatter: VideoReformatter) -> DecodedFrame:
    """A picture out of PyAV's frame, turned by quarter turns counter-clockwise; of RGB, every bit is kept."""
    if frame.format.is_rgb and all(component.bits == 8 for component in frame.format.components):
        return RgbFrame(np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns)))
    return yuv_from_av_frame(frame, turns, reformatter)


def yuv_from_av_frame(frame: Any, turns: int, reformatter: VideoReformatter) -> YuvFrame:
    """A picture out of PyAV's frame of any pixel format, turned by quarter turns counter-clockwise.

    The planes of the usual formats are views of the decoder's memory.
    """
    color_range = _FULL if frame.format.name == "yuvj420p" else int(frame.color_range)
    if frame.format.name not in _PLANAR:
        # Ten bits, grey, 4:2:2 and the like: same matrix and range, eight bits.
        frame = frame.reformat(
            format="yuv420p",
            src_colorspace=frame.colorspace,
            dst_colorspace=frame.colorspace,
            src_color_range=frame.color_range,
            dst_color_range=frame.color_range,
            threads=1,
        )
    y, u, v = (
        np.rot90(_view_plane(plane, width, height), turns)
        for plane, width, height in zip(frame.planes, *_plane_sizes(frame.width, frame.height), strict=True)
    )
    time = None if frame.pts is None else frame.pts * frame.time_base
    return YuvFrame((y, u, v), int(frame.colorspace), color_range, time, reformatter)


def _plane_sizes(width: int, height: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    half_width, half_height = (width + 1) // 2, (height + 1) // 2
    return (width, half_width, half_width), (height, half_height, half_height)


def _view_plane(plane: Any, width: int, height: int) -> Plane:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height, :width]


def resize_square(image: Frames, side: int) -> Frames:
    """Resize a square image (S, S, 3): area averaging when it shrinks, bicubic when it grows."""
    method = cv2.INTER_AREA if len(image) > side else cv2.INTER_CUBIC
    resized: Frames = cv2.resize(image, (side, side), interpolation=method)
    return resized


def quantize(values: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Convert values in [0, 1] to levels in [0, 255], rounded and clamped."""
    return np.rint(values * values.dtype.type(255)).clip(0, 255).astype(np.uint8)


def to_float_array(frames: Frames) -> npt.NDArray[np.float32]:
    """Convert frames (N, H, W, 3) in [0, 255] to (N, 3, H, W) float32 in [0, 1]; see `media.tensors`."""
    return np.ascontiguousarray(frames.transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def to_uint8_array(frames: npt.NDArray[np.float32]) -> Frames:
    """Convert frames (N, 3, H, W) in [0, 1] to (N, H, W, 3) in [0, 255]; see `media.tensors`."""
    return np.ascontiguousarray(quantize(frames).transpose(0, 2, 3, 1))
