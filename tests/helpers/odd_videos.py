"""Unusual but valid videos, as cameras, phones and editors write them."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import cv2
import numpy as np

from faceanim.media.frames import Frame
from tests.helpers.encoding import encode, mux, packets


class Odd(NamedTuple):
    """A video file, and the frames that a player shows.

    Attributes:
        name: `<peculiarity>.<ext>`.
        content: content of the file.
        frames: upright, (H, W, 3) RGB.
    """

    name: str
    content: bytes
    frames: Sequence[Frame]


_SILENT = {"x265_params": "log-level=none"}
_PIXELS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("10-bit.mp4", "mp4", {"pix_fmt": "yuv420p10le"}),
    ("10-bit-hevc.mp4", "mp4", {"codec": "libx265", "pix_fmt": "yuv420p10le", **_SILENT}),
    ("16-bit.mkv", "matroska", {"codec": "ffv1", "pix_fmt": "yuv444p16le"}),
    ("422.mp4", "mp4", {"pix_fmt": "yuv422p"}),
    ("422-10-bit.mov", "mov", {"codec": "prores", "pix_fmt": "yuv422p10le"}),
    ("444.mp4", "mp4", {"pix_fmt": "yuv444p"}),
    ("440.webm", "webm", {"codec": "libvpx-vp9", "pix_fmt": "yuv440p", "deadline": "realtime"}),
    ("410.mkv", "matroska", {"codec": "ffv1", "pix_fmt": "yuv410p"}),
    ("rgb.mkv", "matroska", {"codec": "libx264rgb", "pix_fmt": "rgb24"}),
    ("rgb.mov", "mov", {"codec": "png", "pix_fmt": "rgb24"}),
    ("rgb.avi", "avi", {"codec": "rawvideo", "pix_fmt": "bgr24"}),
    ("full-range.mp4", "mp4", {"pix_fmt": "yuvj420p"}),
    ("full-range.avi", "avi", {"codec": "mjpeg", "pix_fmt": "yuvj422p", "qmax": 4}),
    ("interlaced.mp4", "mp4", {"x264_params": "tff=1"}),
    ("interlaced.mpg", "mpeg", {"codec": "mpeg2video", "flags": "+ildct+ilme", "qmax": 4}),
)
_GRAY: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("gray.mkv", "matroska", {"codec": "ffv1", "pix_fmt": "gray"}),
    ("gray-16-bit.mkv", "matroska", {"codec": "ffv1", "pix_fmt": "gray16le"}),
    ("gray.avi", "avi", {"codec": "rawvideo", "pix_fmt": "gray"}),
    ("gray.mov", "mov", {"codec": "png", "pix_fmt": "gray"}),
)
_ODD_SIZES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("odd-size.webm", "webm", {"codec": "libvpx-vp9", "deadline": "realtime"}),
    ("odd-size.avi", "avi", {"codec": "mpeg4", "qmax": 4}),
    ("odd-size.mkv", "matroska", {"codec": "ffv1"}),
    ("odd-size.mp4", "mp4", {"pix_fmt": "yuv444p"}),
)
"""Name, container and options of the encoder."""


def odd_videos(frames: Sequence[Frame]) -> Iterator[Odd]:
    """Yield a video of each kind with these frames (8 or more)."""
    for name, container, options in _PIXELS:
        yield Odd(name, encode(container, frames, **options), frames)
    gray = [cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB) for frame in frames]
    for name, container, options in _GRAY:
        yield Odd(name, encode(container, frames, **options), gray)
    narrow = [frame[:-1, :-1] for frame in frames]
    for name, container, options in _ODD_SIZES:
        yield Odd(name, encode(container, narrow, **options), narrow)
    yield from _rotated(frames)
    yield from _timed(frames)
    yield from _short(frames)


def _rotated(frames: Sequence[Frame]) -> Iterator[Odd]:
    """Store rotated frames with the rotation that a player applies."""
    for degrees in (90, 180, 270):
        rotated = [np.rot90(frame, -degrees // 90) for frame in frames]
        for container, suffix in (("mp4", "mp4"), ("matroska", "mkv")):
            yield Odd(f"rotated-{degrees}.{suffix}", encode(container, rotated, rotation=degrees), frames)
    for name, aspect, degrees in (("wide", 2, 0), ("narrow", Fraction(4, 5), 0), ("wide-rotated", 2, 90)):
        stored = [np.rot90(frame, -degrees // 90) for frame in frames]
        size = round(stored[0].shape[1] / aspect), stored[0].shape[0]
        squeezed = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in stored]
        sar = f"sar={Fraction(aspect).numerator}\\:{Fraction(aspect).denominator}"
        yield Odd(f"{name}-pixels.mp4", encode("mp4", squeezed, rotation=degrees, x264_params=sar), frames)
    rotated = [np.rot90(frame, -1) for frame in frames]
    yield Odd("rotated-10-bit.mp4", encode("mp4", rotated, pix_fmt="yuv420p10le", rotation=90), frames)
    for degrees in (-30, 10, 44):  # the nearest multiple of 90 degrees is 0
        yield Odd(f"rotated-{degrees}.mp4", encode("mp4", frames, rotation=degrees), frames)
    content = bytearray(encode("mp4", frames))
    matrix = content.index(b"tkhd") + 44
    content[matrix : matrix + 36] = bytes(36)
    yield Odd("rotated-by-zeros.mp4", bytes(content), frames)


def _timed(frames: Sequence[Frame]) -> Iterator[Odd]:
    """Store unusual times."""
    times = [number + 3 * (number // 4) + 20 * (number // 6) for number in range(len(frames))]
    early, late = (range(start, start + len(frames)) for start in (-50, 2**20))
    for name, container, options in (
        ("changing-rate.mp4", "mp4", {"times": times}),
        ("changing-rate.mkv", "matroska", {"times": times}),
        ("late-start.mp4", "mp4", {"times": late}),
        ("early-start.mkv", "matroska", {"times": early, "muxer": {"avoid_negative_ts": "disabled"}}),
        ("clock-wraps.mpg", "mpegts", {"muxer": {"output_ts_offset": str(2**33 / 90000 - 1.7)}}),
        ("three-hours.mp4", "mp4", {"rate": Fraction(1, 1000)}),
        ("three-hours.mkv", "matroska", {"rate": Fraction(1, 1000)}),
        ("million-per-second.mp4", "mp4", {"rate": Fraction(1_000_000)}),
        ("live.webm", "webm", {"codec": "libvpx-vp9", "deadline": "realtime", "muxer": {"live": "1"}}),
    ):
        yield Odd(name, encode(container, frames, **options), frames)
    latin_1 = encode("avi", frames, bf=0).replace(b"Lavf", b"L\xe4vf")
    yield Odd("latin-1.avi", latin_1, frames)
    yield Odd("no-clock.avi", mux("h264", packets(encode("avi", frames, bf=0))), frames)


def _short(frames: Sequence[Frame]) -> Iterator[Odd]:
    """Store one or two frames."""
    for count in (1, 2):
        for container, suffix in (("mp4", "mp4"), ("matroska", "mkv"), ("avi", "avi"), ("mpeg", "mpg")):
            codec = "mpeg2video" if container == "mpeg" else "libx264"
            content = encode(container, frames[:count], codec, bf=0)
            yield Odd(f"{count}-frame.{suffix}", content, frames[:count])
