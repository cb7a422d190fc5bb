"""Writing of MP4 files, frame by frame, so that memory use does not grow with the length of a video."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from faceanim.media.audio import AudioTrack
from faceanim.media.containers import open_output
from faceanim.media.frames import Frame
from faceanim.media.video import wrap_media_errors
from faceanim.tables import atomic_path

VARIABLE_RATE_TICK = Fraction(1, 90_000)
"""Time base of videos with a variable frame rate, in seconds: the MPEG clock."""


def write_mp4(
    path: Path,
    frames: Iterable[Frame],
    fps: Fraction,
    audio_from: Path | None = None,
    comment: str | None = None,
    times: NDArray[np.float64] | None = None,
) -> int:
    """Write exactly these frames as an H.264 MP4 (yuv420p, BT.709, CRF 18) and return their number.

    Args:
        path: destination, written atomically.
        frames: (H, W, 3), RGB in [0, 255], all of one even size.
        fps: exact frame rate in frames per second (Fraction(30000, 1001) for 29.97).
        audio_from: media file whose audio is added, with the offset that it has to the video of that file,
            and cut at the end of the new video; sound that `find_sound` cannot use is left out.
        comment: plain text for the metadata of the file.
        times: (N,), time of each frame in seconds from the first, for a variable frame rate.

    Raises:
        ValueError: `frames` is empty, or their size is odd.
        MediaError: `audio_from` is not a media file.
    """
    iterator = iter(frames)
    head = next(iterator, None)
    if head is None:
        raise ValueError("a video needs at least one frame")
    if head.shape[0] % 2 or head.shape[1] % 2:
        raise ValueError(f"H.264 needs an even width and height, not {head.shape[1]}x{head.shape[0]}")
    options = {"movflags": "+faststart"}
    with atomic_path(path) as temporary, open_output(temporary, "mp4", options) as output:
        if comment is not None:
            output.metadata["comment"] = comment
        tick = 1 / fps if times is None else VARIABLE_RATE_TICK
        stream = _add_h264_stream(output, head, fps, tick)
        with wrap_media_errors(audio_from or path), AudioTrack.from_file(audio_from, output) as audio:
            count, pts = 0, -1
            for count, frame in enumerate(chain([head], iterator), start=1):
                # MP4 has no two frames at the same time.
                pts = count - 1 if times is None else max(round(times[count - 1] / tick), pts + 1)
                output.mux(stream.encode(to_bt709_frame(frame, pts, tick)))
                audio.write_until(pts * tick + 1 / fps)
            output.mux(stream.encode(None))
    return count


def tag_bt709(context: Any) -> None:
    """Tag the frames of a codec context as BT.709, limited range, the format of `to_bt709_frame`."""
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709


def to_bt709_frame(frame: Frame, pts: int, tick: Fraction) -> Any:
    """Convert an RGB frame (H, W, 3) to yuv420p with the BT.709 matrix, limited range."""
    converted = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    converted.pts, converted.time_base = pts, tick
    return converted


def _add_h264_stream(output: Any, head: Frame, fps: Fraction, tick: Fraction) -> Any:
    # With its macroblock tree, x264 does not always give the same bytes for the same frames (AVX-512).
    options = {"crf": "18", "preset": "medium", "x264-params": "mbtree=0"}
    stream = output.add_stream("libx264", rate=fps, options=options)
    stream.width, stream.height, stream.pix_fmt = head.shape[1], head.shape[0], "yuv420p"
    context = stream.codec_context
    context.thread_count = 2  # fixed, because the bytes that x264 writes depend on it
    context.time_base = tick
    tag_bt709(context)
    return stream
