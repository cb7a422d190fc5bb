"""Writing MP4 files, frame by frame: memory stays flat however long a video is."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from faceanim.media.frames import Frame
from faceanim.media.video import wrap_media_errors
from faceanim.tables import atomic_path

COPIED_CODECS = frozenset({"aac", "mp3"})
"""What MP4 players play as it is; anything else becomes AAC."""


class AudioTrack:
    """Packets for an output container, written as far as the picture has come."""

    def __init__(self, packets: Iterator[Any], output: Any) -> None:
        self._packets = packets
        self._output = output
        self._next = next(packets, None)

    @classmethod
    @contextmanager
    def from_file(cls, source: Path | None, output: Any) -> Iterator["AudioTrack"]:
        """The first sound track of `source`; an empty one where there is no source or it is silent."""
        if source is None:
            yield cls(iter(()), output)
            return
        with av.open(str(source), metadata_errors="replace") as container:
            if not container.streams.audio:
                yield cls(iter(()), output)
                return
            audio = container.streams.audio[0]
            video = container.streams.video[0] if container.streams.video else audio
            shift = Fraction((video.start_time or 0) * video.time_base)
            if audio.codec_context.codec.canonical_name in COPIED_CODECS:
                packets = _copy_packets(container, audio, output.add_stream_from_template(audio), shift)
            else:
                target = output.add_stream("aac", rate=audio.codec_context.sample_rate)
                # Not the source's own layout: a plain WAV's is only a number of channels, which AAC refuses.
                target.codec_context.layout = "mono" if audio.codec_context.channels == 1 else "stereo"
                packets = _transcode_packets(container, audio, target, shift)
            yield cls(packets, output)

    def write_until(self, seconds: Fraction) -> None:
        """Write what begins before that time of the picture; the rest waits, or is never written."""
        while self._next is not None and self._next.pts * self._next.time_base < seconds:
            self._output.mux(self._next)
            self._next = next(self._packets, None)


def _copy_packets(container: Any, audio: Any, target: Any, shift: Fraction) -> Iterator[Any]:
    offset = round(shift / audio.time_base)
    for packet in container.demux(audio):
        if packet.pts is None:  # the empty packet that ends the stream
            continue
        packet.pts -= offset
        packet.dts = packet.pts
        packet.stream = target
        yield packet


def _transcode_packets(container: Any, audio: Any, target: Any, shift: Fraction) -> Iterator[Any]:
    context = target.codec_context
    context.open(strict=False)
    resampler = av.AudioResampler(context.format, context.layout, context.sample_rate, context.frame_size)
    for frame in container.decode(audio):
        if frame.pts is None:
            continue
        frame.pts -= round(shift / frame.time_base)
        for piece in resampler.resample(frame):
            yield from target.encode(piece)
    for piece in resampler.resample(None):
        yield from target.encode(piece)
    yield from target.encode(None)


VARIABLE_RATE_TICK = Fraction(1, 90_000)
"""The clock of a video whose rate varies, in seconds; MPEG's own."""


def write_mp4(
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
            tick = 1 / fps if times is None else VARIABLE_RATE_TICK
            stream = _add_h264_stream(output, head, fps, tick)
            with wrap_media_errors(audio_from or path), AudioTrack.from_file(audio_from, output) as audio:
                count = 0
                for count, frame in enumerate(chain([head], iterator), start=1):
                    number = count - 1
                    pts = number if times is None else round(times[number] / tick)
                    output.mux(stream.encode(to_bt709_frame(frame, pts, tick)))
                    audio.write_until(pts * tick + 1 / fps)
                output.mux(stream.encode(None))
    return count


def _add_h264_stream(output: Any, head: Frame, fps: Fraction, tick: Fraction) -> Any:
    # With its macroblock tree, x264 does not always give the same bytes for the same frames (AVX-512).
    options = {"crf": "18", "preset": "medium", "x264-params": "mbtree=0"}
    stream = output.add_stream("libx264", rate=fps, options=options)
    stream.width, stream.height, stream.pix_fmt = head.shape[1], head.shape[0], "yuv420p"
    context = stream.codec_context
    context.thread_count = 2  # x264's bytes depend on it, so it must not be the machine's
    context.time_base = tick
    tag_bt709(context)
    return stream


def tag_bt709(context: Any) -> None:
    """Declare a codec context's frames to be BT.709, limited range, as `to_bt709_frame` makes them."""
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709


def to_bt709_frame(frame: Frame, pts: int, tick: Fraction) -> Any:
    """Convert a frame (H, W, 3) RGB to yuv420p by the BT.709 matrix, limited range."""
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    picture.pts, picture.time_base = pts, tick
    return picture
