"""The sound track of one file, written beside a new picture."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

COPIED = frozenset({"aac", "mp3"})
"""What MP4 players play as it is; anything else becomes AAC."""


class AudioTrack:
    """Packets for an output container, written as far as the picture has come."""

    def __init__(self, packets: Iterator[Any], output: Any) -> None:
        self._packets = packets
        self._output = output
        self._next = next(packets, None)

    @classmethod
    @contextmanager
    def copied(cls, source: Path | None, output: Any) -> Iterator["AudioTrack"]:
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
            if audio.codec_context.codec.canonical_name in COPIED:
                packets = _copy(container, audio, output.add_stream_from_template(audio), shift)
            else:
                target = output.add_stream("aac", rate=audio.codec_context.sample_rate)
                # Not the source's own layout: a plain WAV's is only a number of channels, which AAC refuses.
                target.codec_context.layout = "mono" if audio.codec_context.channels == 1 else "stereo"
                packets = _transcode(container, audio, target, shift)
            yield cls(packets, output)

    def write_until(self, seconds: Fraction) -> None:
        """Write what begins before that time of the picture; the rest waits, or is never written."""
        while self._next is not None and self._next.pts * self._next.time_base < seconds:
            self._output.mux(self._next)
            self._next = next(self._packets, None)


def _copy(container: Any, audio: Any, target: Any, shift: Fraction) -> Iterator[Any]:
    offset = round(shift / audio.time_base)
    for packet in container.demux(audio):
        if packet.pts is None:  # the empty packet that ends the stream
            continue
        packet.pts -= offset
        packet.dts = packet.pts
        packet.stream = target
        yield packet


def _transcode(container: Any, audio: Any, target: Any, shift: Fraction) -> Iterator[Any]:
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
