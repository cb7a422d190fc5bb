"""Decoded frames for tracking and cropping: luma at no cost, RGB on request.

Converting whole frames to RGB costs about as much as decoding them, and the tracker needs only the luma.
"""

import weakref
from collections import deque
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, cached_property
from typing import Any, ClassVar, Protocol, Self

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from faceanim.media.boxes import Box

Frame = npt.NDArray[np.uint8]
"""Image of shape (H, W, 3), RGB in [0, 255]."""
Frames = npt.NDArray[np.uint8]
"""Images of shape (N, H, W, 3), RGB in [0, 255], or a single one, (H, W, 3)."""
Plane = npt.NDArray[np.uint8]
"""One channel of an image, (H, W), in [0, 255]."""
Planes = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]
"""Luma (H, W), and two planes of chroma of half the size, rounded up."""

_PLANAR = frozenset({"yuv420p", "yuvj420p"})
FULL_RANGE = int(ColorRange.JPEG)
"""FFmpeg's number of values from 0 to 255, rather than from 16 to 235."""
_YCGCO = 8
_BT601 = (0.299, 0.114)
_LUMA_WEIGHTS = {1: (0.2126, 0.0722), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
"""Luma weights of red and blue, by FFmpeg's number of the color matrix; any other or none means BT.601."""

_BLOCK_BYTES = 32 * 2**20
"""Size of a block, in bytes; the operating system backs blocks of this size with huge pages."""
_MAX_SPARE_BLOCKS = 8
"""Largest number of unused blocks that a process keeps instead of returning them to the system."""


class FramePool:
    """Memory for frames, in blocks that are reused once no frame in them is left.

    The operating system has to clear fresh memory. This takes longer than copying a frame into it, and in
    small pieces, on some machines, a third as long as decoding a frame.
    """

    # Shared by the whole process, because the next video needs the blocks too.
    _spare: ClassVar[deque[memoryview]] = deque(maxlen=_MAX_SPARE_BLOCKS)

    def __init__(self) -> None:
        self._free = np.empty(0, np.uint8)  # the rest of the block in use

    def copy(self, values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Copy an array into memory of the pool."""
        if self._free.size < values.size:
            self._free = self._lease(values.size)
        copied = self._free[: values.size].reshape(values.shape)
        self._free = self._free[values.size :]
        copied[...] = values
        return copied

    def _lease(self, size: int) -> npt.NDArray[np.uint8]:
        """Lease a block as an array; it becomes spare when the last view of that array is gone."""
        if size > _BLOCK_BYTES:
            return np.empty(size, np.uint8)
        try:
            block = self._spare.pop()
        except IndexError:
            block = np.empty(_BLOCK_BYTES, np.uint8).data
        # The base of a view is the array that owns its memory. As the owner here is a memoryview and no
        # array, views refer to `lease` instead and keep it alive.
        lease = np.frombuffer(block, np.uint8)
        weakref.finalize(lease, self._spare.append, block).atexit = False
        return lease


class DecodedFrame(Protocol):
    """A decoded, upright frame."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""

    @property
    def time(self) -> Fraction | None:
        """Presentation time in seconds on the clock of the file; None if the decoder does not report it."""

    @property
    def nbytes(self) -> int:
        """Memory of the frame in bytes."""

    @property
    def luma(self) -> Plane:
        """Luma plane, (H, W), in [0, 255]."""

    def crop(self, box: Box) -> "DecodedFrame":
        """Return a view of the part in a box, which lies in the frame and has edges of even whole pixels."""

    def copy(self, pool: FramePool) -> "DecodedFrame":
        """Copy the frame into memory of the pool."""

    def resize(self, size: tuple[int, int]) -> "DecodedFrame":
        """Resize to a width and height; an equal size costs nothing."""

    def to_rgb(self, size: tuple[int, int] | None = None) -> Frame:
        """Convert to RGB at a width and height: area averaging when it shrinks, bicubic when it grows."""


@dataclass(frozen=True)
class RgbFrame:
    """A `DecodedFrame` from a decoder that returns RGB.

    Attributes:
        frame: (H, W, 3).
        time: see `DecodedFrame.time`.
    """

    frame: Frame
    time: Fraction | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.frame.shape[1], self.frame.shape[0]

    @property
    def nbytes(self) -> int:
        """Memory of the frame in bytes."""
        return self.frame.nbytes

    @cached_property
    def luma(self) -> Plane:
        """Luma plane, (H, W), converted on first use."""
        return np.asarray(cv2.cvtColor(self.frame, cv2.COLOR_RGB2GRAY), np.uint8)

    def crop(self, box: Box) -> "RgbFrame":
        """Return a view of the part in a box."""
        x0, y0, x1, y1 = (int(edge) for edge in box)
        return replace(self, frame=self.frame[y0:y1, x0:x1])

    def copy(self, pool: FramePool) -> "RgbFrame":
        """Copy the frame into memory of the pool."""
        return replace(self, frame=pool.copy(self.frame))

    def resize(self, size: tuple[int, int]) -> "RgbFrame":
        """Resize to a width and height."""
        return replace(self, frame=self.to_rgb(size))

    def to_rgb(self, size: tuple[int, int] | None = None) -> Frame:
        """Return the frame, resized to a width and height."""
        return self.frame if size is None else _resize_plane(self.frame, size)


@dataclass(frozen=True)
class PlanarFrame:
    """A frame in planes, as nearly every video stores it: luma, and two of chroma at half the size.

    Attributes:
        planes: Y (H, W), U and V (H / 2, W / 2, rounded up).
        time: see `DecodedFrame.time`.
        reformatter: resizer, shared by the frames of a video because it caches its tables.
    """

    planes: Planes
    time: Fraction | None
    reformatter: VideoReformatter

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.planes[0].shape[1], self.planes[0].shape[0]

    @property
    def nbytes(self) -> int:
        """Memory of the three planes in bytes."""
        return sum(plane.nbytes for plane in self.planes)

    def crop(self, box: Box) -> Self:
        """Return a view of the part in a box."""
        x0, y0, x1, y1 = (int(edge) for edge in box)
        y, u, v = self.planes
        half = (slice(y0 // 2, (y1 + 1) // 2), slice(x0 // 2, (x1 + 1) // 2))
        return replace(self, planes=(y[y0:y1, x0:x1], u[half], v[half]))

    def copy(self, pool: FramePool) -> Self:
        """Copy the planes into memory of the pool."""
        y, u, v = self.planes
        return replace(self, planes=(pool.copy(y), pool.copy(u), pool.copy(v)))

    def resize(self, size: tuple[int, int]) -> Self:
        """Resize to a width and height."""
        half = (size[0] + 1) // 2, (size[1] + 1) // 2
        y, u, v = (_resize_plane(*pair) for pair in zip(self.planes, (size, half, half), strict=True))
        return replace(self, planes=(y, u, v))

    def merge(self, pixel_format: str, merged_format: str, size: tuple[int, int] | None) -> npt.NDArray[Any]:
        """Merge the planes at a width and height, (H, W, 3): area averaging or bicubic, see `DecodedFrame`.

        Args:
            pixel_format: FFmpeg's name of the format of the planes.
            merged_format: the format with chroma in full size and the same bits.
            size: width and height; None: those of the frame.
        """
        width, height = size or self.size
        frame = av.VideoFrame(*self.size, pixel_format)
        for plane, values in zip(frame.planes, self.planes, strict=True):
            _fill_plane(plane, values)
        method = Interpolation.AREA if width < self.size[0] else Interpolation.BICUBIC
        resized = self.reformatter.reformat(
            frame, width, height, merged_format, interpolation=method, threads=1
        )
        dtype = self.planes[0].dtype
        return np.asarray(cv2.merge([_view_plane(plane, width, height, dtype) for plane in resized.planes]))


@dataclass(frozen=True)
class YuvFrame(PlanarFrame):
    """A `DecodedFrame` of 8 bits in the colors of ordinary video.

    Attributes:
        colorspace: FFmpeg's number of the color matrix.
        color_range: FFmpeg's number of the range of values.
    """

    colorspace: int
    color_range: int

    @property
    def luma(self) -> Plane:
        """Luma plane, (H, W)."""
        return self.planes[0]

    def to_rgb(self, size: tuple[int, int] | None = None) -> Frame:
        """Convert to RGB at a width and height."""
        merged = self.merge("yuv420p", "yuv444p", size)
        matrix = yuv_to_rgb_matrix(self.colorspace, self.color_range == FULL_RANGE)
        return np.asarray(cv2.transform(merged, matrix), np.uint8)


def yuv_from_av_frame(frame: Any, quarter_turns: int, reformatter: VideoReformatter) -> YuvFrame:
    """Wrap a PyAV frame of any pixel format, rotated counter-clockwise by quarter turns.

    The planes of the usual formats are views of the decoder's memory.
    """
    color_range = FULL_RANGE if frame.format.name == "yuvj420p" else int(frame.color_range)
    if frame.format.name not in _PLANAR:
        # Formats such as 10 bits, gray or 4:2:2 are converted to 8 bits with the same matrix and range.
        frame = frame.reformat(
            format="yuv420p",
            src_colorspace=frame.colorspace,
            dst_colorspace=frame.colorspace,
            src_color_range=frame.color_range,
            dst_color_range=frame.color_range,
            threads=1,
        )
    planes = view_planes(frame, quarter_turns)
    return YuvFrame(planes, frame_time(frame), reformatter, int(frame.colorspace), color_range)


def view_planes(frame: Any, quarter_turns: int, dtype: npt.DTypeLike = np.uint8) -> Planes:
    """View the planes of a PyAV frame in a format of the kind yuv420p, rotated by quarter turns."""
    y, u, v = (
        np.rot90(_view_plane(plane, width, height, dtype), quarter_turns)
        for plane, width, height in zip(frame.planes, *_plane_sizes(frame.width, frame.height), strict=True)
    )
    return y, u, v


def frame_time(frame: Any) -> Fraction | None:
    """Return the presentation time of a PyAV frame in seconds, on the clock of its file."""
    return None if frame.pts is None else frame.pts * frame.time_base


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


@cache
def yuv_to_rgb_matrix(colorspace: int, is_full_range: bool) -> npt.NDArray[np.float64]:
    """Return the affine map from Y, U, V in [0, 255] to R, G, B, (3, 4), as defined by ITU-T H.273.

    FFmpeg's own fast conversion is up to two levels too dark, and its exact one is four times as slow.
    """
    red, blue = _LUMA_WEIGHTS.get(colorspace, _BT601)
    green = 1 - red - blue
    luma, chroma, black = (1.0, 1.0, 0.0) if is_full_range else (255 / 219, 255 / 224, 16.0)
    u = np.array([0, -2 * blue * (1 - blue) / green, 2 * (1 - blue)])
    v = np.array([2 * (1 - red), -2 * red * (1 - red) / green, 0])
    if colorspace == _YCGCO:
        u, v = np.array([-1.0, 1.0, -1.0]), np.array([1.0, 0.0, -1.0])
    u, v = u * chroma, v * chroma
    linear = np.stack([np.full(3, luma), u, v], axis=1)
    return np.hstack([linear, -linear @ [[black], [128.0], [128.0]]])


def _fill_plane(plane: Any, values: npt.NDArray[Any]) -> None:
    """Write values into an FFmpeg plane, whose lines may be padded."""
    lines = np.frombuffer(plane, values.dtype).reshape(-1, plane.line_size // values.itemsize)
    lines[: values.shape[0], : values.shape[1]] = values


def _plane_sizes(width: int, height: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    half_width, half_height = (width + 1) // 2, (height + 1) // 2
    return (width, half_width, half_width), (height, half_height, half_height)


def _view_plane(plane: Any, width: int, height: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    values = np.frombuffer(plane, dtype)
    return values.reshape(-1, plane.line_size // values.itemsize)[:height, :width]


def _resize_plane(values: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    """Resize a plane or an image: area averaging when it shrinks, bicubic when it grows."""
    height, width = values.shape[:2]
    if size == (width, height):
        return values
    method = cv2.INTER_AREA if size[0] < width or size[1] < height else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(values, size, interpolation=method))
