"""Writing MP4 files, frame by frame: memory stays flat however long a video is."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from faceanim.data.audio import AudioTrack
from faceanim.data.pictures import Frame
from faceanim.data.video import media_errors
from faceanim.tables import atomic_path

TICK = Fraction(1, 90_000)
"""The clock of a video whose rate varies, in seconds; MPEG's own."""


def write_video(
    path: Path,
    frames: Iterable[Frame],
    fps: Fraction,
    audio_from: Path | None = None,
    comment: str | None = None,
    times: NDArray[np.float64] | None = None,
) -> int:
    """Write an H.264 MP4 (yuv420p, BT.709, CRF 18) of exactly these frames and this rate; return how many.

    Args:
        path: written whole or not at all.
        frames: (H, W, 3) RGB, all of one even size.
        fps: frames a second, exact (Fraction(30000, 1001) for 29.97).
        audio_from: a media file whose sound goes along, at its own time against that file's picture, as far
            as the picture lasts.
        comment: plain text for the file's metadata.
        times: when each frame is shown, in seconds from the first, where the rate varies.

    Raises:
        ValueError: no frames, or an odd size.
        MediaError: `audio_from` is no media file.
    """
    iterator = iter(frames)
    head = next(iterator, None)
    if head is None:
        raise ValueError("a video needs at least one frame")
    if head.shape[0] % 2 or head.shape[1] % 2:
        raise ValueError(f"H.264 wants even sizes, not {head.shape[1]}x{head.shape[0]}")
    with atomic_path(path) as temporary:
        options = {"movflags": "+faststart", "fflags": "+bitexact"}
        with av.open(str(temporary), "w", options=options) as output:
            if comment is not None:
                output.metadata["comment"] = comment
            tick = 1 / fps if times is None else TICK
            stream = _h264_stream(output, head, fps, tick)
            with media_errors(audio_from or path), AudioTrack.copied(audio_from, output) as audio:
                count = 0
                for count, frame in enumerate(chain([head], iterator), start=1):
                    number = count - 1
                    pts = number if times is None else round(times[number] / tick)
                    output.mux(stream.encode(_picture(frame, pts, tick)))
                    audio.write_until(pts * tick + 1 / fps)
                output.mux(stream.encode(None))
    return count


def _h264_stream(output: Any, head: Frame, fps: Fraction, tick: Fraction) -> Any:
    # With its macroblock tree, x264 does not always give the same bytes for the same frames (AVX-512).
    options = {"crf": "18", "preset": "medium", "x264-params": "mbtree=0"}
    stream = output.add_stream("libx264", rate=fps, options=options)
    stream.width, stream.height, stream.pix_fmt = head.shape[1], head.shape[0], "yuv420p"
    context = stream.codec_context
    context.thread_count = 2  # x264's bytes depend on it, so it must not be the machine's
    context.time_base = tick
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return stream


def _picture(frame: Frame, pts: int, tick: Fraction) -> Any:
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    picture.pts, picture.time_base = pts, tick
    return picture
