"""Writing of MP4 files, frame by frame, so that memory use does not grow with the length of a video."""

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

from faceanim.media.containers import SOUND_CONTAINERS, open_input, open_output
from faceanim.media.frames import Frame
from faceanim.media.video import wrap_media_errors
from faceanim.tables import atomic_path

COPIED_CODECS = frozenset({"aac", "mp3"})
"""Audio codecs that MP4 players support and that are copied unchanged; others are transcoded to AAC."""
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
            and cut at the end of the new video.
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


class AudioTrack:
    """Audio track of a file, added to a new video and written only as far as the video is."""

    def __init__(self, packets: Iterator[Any], output: Any) -> None:
        self._packets = packets
        self._output = output
        self._next = next(packets, None)

    @classmethod
    @contextmanager
    def from_file(cls, source: Path | None, output: Any) -> Iterator["AudioTrack"]:
        """Open the first audio track of `source`; the track is empty without a source or without audio."""
        if source is None:
            yield cls(iter(()), output)
            return
        with open_input(source, SOUND_CONTAINERS) as container:
            if not container.streams.audio:
                yield cls(iter(()), output)
                return
            audio = container.streams.audio[0]
            video = container.streams.video[0] if container.streams.video else audio
            offset = Fraction((video.start_time or 0) * video.time_base)
            if audio.codec_context.codec.canonical_name in COPIED_CODECS:
                packets = _copy_packets(container, audio, output.add_stream_from_template(audio), offset)
            else:
                target = output.add_stream("aac", rate=audio.codec_context.sample_rate)
                # A plain WAV has no channel layout, only a number of channels, which AAC rejects.
                target.codec_context.layout = "mono" if audio.codec_context.channels == 1 else "stereo"
                packets = _transcode_packets(container, audio, target, offset)
            yield cls(packets, output)

    def write_until(self, seconds: Fraction) -> None:
        """Write the packets that begin before a time of the video; later ones are held back."""
        while self._next is not None and self._next.pts * self._next.time_base < seconds:
            self._output.mux(self._next)
            self._next = next(self._packets, None)


def _copy_packets(container: Any, audio: Any, target: Any, offset: Fraction) -> Iterator[Any]:
    ticks = round(offset / audio.time_base)
    for packet in container.demux(audio):
        if packet.pts is None:  # the empty packet that ends the stream
            continue
        packet.pts -= ticks
        packet.dts = packet.pts
        packet.stream = target
        yield packet


def _transcode_packets(container: Any, audio: Any, target: Any, offset: Fraction) -> Iterator[Any]:
    context = target.codec_context
    context.open(strict=False)
    resampler = av.AudioResampler(context.format, context.layout, context.sample_rate, context.frame_size)
    for frame in container.decode(audio):
        if frame.pts is None:
            continue
        frame.pts -= round(offset / frame.time_base)
        for resampled in resampler.resample(frame):
            yield from target.encode(resampled)
    for resampled in resampler.resample(None):
        yield from target.encode(resampled)
    yield from target.encode(None)


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
