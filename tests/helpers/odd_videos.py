"""Videos that are odd but valid: what cameras, phones and editors write."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import cv2
import numpy as np

from faceanim.media.frames import Frame
from tests.helpers.encoding import encode, mux, packets


class Odd(NamedTuple):
    """A video file, and the frames that a player shows of it.

    Attributes:
        name: `<what is odd>.<ext>`.
        content: the file.
        frames: upright, (H, W, 3) RGB.
    """

    name: str
    content: bytes
    frames: Sequence[Frame]


_SILENT = {"x265_params": "log-level=none"}
# Name, container, and how it is encoded.
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
_GREY: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("grey.mkv", "matroska", {"codec": "ffv1", "pix_fmt": "gray"}),
    ("grey-16-bit.mkv", "matroska", {"codec": "ffv1", "pix_fmt": "gray16le"}),
    ("grey.avi", "avi", {"codec": "rawvideo", "pix_fmt": "gray"}),
    ("grey.mov", "mov", {"codec": "png", "pix_fmt": "gray"}),
)
_ODD_SIZES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("odd-size.webm", "webm", {"codec": "libvpx-vp9", "deadline": "realtime"}),
    ("odd-size.avi", "avi", {"codec": "mpeg4", "qmax": 4}),
    ("odd-size.mkv", "matroska", {"codec": "ffv1"}),
    ("odd-size.mp4", "mp4", {"pix_fmt": "yuv444p"}),
)


def odd_videos(frames: Sequence[Frame]) -> Iterator[Odd]:
    """One video of each kind, of these frames (12 or more)."""
    for name, container, options in _PIXELS:
        yield Odd(name, encode(container, frames, **options), frames)
    grey = [cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB) for frame in frames]
    for name, container, options in _GREY:
        yield Odd(name, encode(container, frames, **options), grey)
    narrow = [frame[:-1, :-1] for frame in frames]
    for name, container, options in _ODD_SIZES:
        yield Odd(name, encode(container, narrow, **options), narrow)
    yield from _turned(frames)
    yield from _timed(frames)
    yield from _cut_short(frames)


def _turned(frames: Sequence[Frame]) -> Iterator[Odd]:
    """The camera was held another way, and says so."""
    for degrees in (90, 180, 270):
        lying = [np.rot90(frame, -degrees // 90) for frame in frames]
        for container, suffix in (("mp4", "mp4"), ("matroska", "mkv")):
            yield Odd(f"turned-{degrees}.{suffix}", encode(container, lying, rotation=degrees), frames)
    lying = [np.rot90(frame, -1) for frame in frames]
    yield Odd("turned-10-bit.mp4", encode("mp4", lying, pix_fmt="yuv420p10le", rotation=90), frames)
    for degrees in (-30, 10, 44):  # no quarter turn: the nearest one is none
        yield Odd(f"turned-{degrees}.mp4", encode("mp4", frames, rotation=degrees), frames)
    content = bytearray(encode("mp4", frames))
    matrix = content.index(b"tkhd") + 44
    content[matrix : matrix + 36] = bytes(36)
    yield Odd("turned-nowhere.mp4", bytes(content), frames)


def _timed(frames: Sequence[Frame]) -> Iterator[Odd]:
    times = [number + 3 * (number // 4) + 20 * (number // 9) for number in range(len(frames))]
    early, late = (range(begin, begin + len(frames)) for begin in (-50, 2**20))
    for name, container, options in (
        ("changing-rate.mp4", "mp4", {"times": times}),
        ("changing-rate.mkv", "matroska", {"times": times}),
        ("begins-late.mp4", "mp4", {"times": late}),
        ("begins-early.mkv", "matroska", {"times": early, "muxer": {"avoid_negative_ts": "disabled"}}),
        ("clock-wraps.mpg", "mpegts", {"muxer": {"output_ts_offset": str(2**33 / 90000 - 1.7)}}),
        ("three-hours.mp4", "mp4", {"rate": Fraction(1, 1000)}),
        ("three-hours.mkv", "matroska", {"rate": Fraction(1, 1000)}),
        ("a-million-a-second.mp4", "mp4", {"rate": Fraction(1_000_000)}),
        ("live.webm", "webm", {"codec": "libvpx-vp9", "deadline": "realtime", "muxer": {"live": "1"}}),
    ):
        yield Odd(name, encode(container, frames, **options), frames)
    name = encode("avi", frames, bf=0).replace(b"Lavf", b"L\xe4vf")
    yield Odd("latin-1.avi", name, frames)
    yield Odd("no-clock.avi", mux("h264", packets(encode("avi", frames, bf=0))), frames)


def _cut_short(frames: Sequence[Frame]) -> Iterator[Odd]:
    for count in (1, 2):
        for container, suffix in (("mp4", "mp4"), ("matroska", "mkv"), ("avi", "avi"), ("mpeg", "mpg")):
            codec = "mpeg2video" if container == "mpeg" else "libx264"
            content = encode(container, frames[:count], codec, bf=0)
            yield Odd(f"{count}-frame.{suffix}", content, frames[:count])
