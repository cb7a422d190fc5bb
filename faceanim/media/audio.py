"""Sound that a new video takes over from a file: copied where players support it in MP4, otherwise as AAC."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import av

from faceanim.media.containers import SOUND_CONTAINERS, open_input
from faceanim.media.video import wrap_media_errors

COPIED_CODECS = frozenset({"aac", "mp3"})
"""Audio codecs that MP4 players support and that are copied unchanged; others are transcoded to AAC."""
MIN_MP3_RATE = 16_000
"""Lowest sample rate of MP3 in MP4, in Hz."""
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
"""Sample rates of the AAC encoder, in Hz."""
MAX_TRIED_PACKETS = 100
"""Number of packets by which a track is judged; the first ones of a recording that began earlier may fail."""


class Sound(NamedTuple):
    """Sound that can be taken over from a file.

    Attributes:
        track: number of the audio track, from 0; None if the new video is silent.
        warnings: lines that say how the sound differs from the file's; empty if it does not.
    """

    track: int | None
    warnings: tuple[str, ...] = ()


SILENCE = Sound(None)


def find_sound(path: Path) -> Sound:
    """Find the first audio track of a file that can be copied or decoded.

    Raises:
        MediaError: the file is not a media file.
    """
    with wrap_media_errors(path), open_input(path, SOUND_CONTAINERS) as container:
        count = len(container.streams.audio)
    problems: list[str] = []
    for track in range(count):
        with wrap_media_errors(path), open_input(path, SOUND_CONTAINERS) as container:
            problem = _find_problem(container, container.streams.audio[track])
        if problem is None:
            if not problems:
                return Sound(track)
            return Sound(
                track, (f"sound track {track} of the video {problems[-1]}; track {track + 1} is used",)
            )
        problems.append(problem)
    return Sound(None, (f"the sound of the video {problems[0]}; the result is silent",) if problems else ())


def _find_problem(container: Any, stream: Any) -> str | None:
    """Return why a track cannot be taken over; None if it can."""
    if stream.codec_context is None:
        return "has a codec that cannot be decoded"
    is_empty = True
    for packet in islice(container.demux(stream), MAX_TRIED_PACKETS):
        if packet.size and packet.pts is not None:
            is_empty = False
            if _is_copied(stream.codec_context):
                return None
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue  # one of the packets that may fail
        if any(frame.pts is not None and frame.samples for frame in frames):
            return None
    return "is empty" if is_empty else "is damaged or cannot be decoded"


def _is_copied(context: Any) -> bool:
    codec, rate = context.codec.canonical_name, context.sample_rate
    return codec in COPIED_CODECS and context.channels > 0 and rate >= (MIN_MP3_RATE if codec == "mp3" else 1)


class AudioTrack:
    """Audio track of a file, added to a new video and written only as far as the video is."""

    def __init__(self, packets: Iterator[Any], output: Any) -> None:
        self._packets = packets
        self._output = output
        self._next = next(packets, None)

    @classmethod
    @contextmanager
    def from_file(cls, source: Path | None, output: Any) -> Iterator["AudioTrack"]:
        """Open the track that `find_sound` finds; it is empty without a source or without a usable track."""
        track = find_sound(source).track if source is not None else None
        if source is None or track is None:
            yield cls(iter(()), output)
            return
        with open_input(source, SOUND_CONTAINERS) as container:
            audio = container.streams.audio[track]
            video = container.streams.video[0] if container.streams.video else audio
            offset = Fraction((video.start_time or 0) * video.time_base)
            if _is_copied(audio.codec_context):
                packets = _copy_packets(container, audio, output.add_stream_from_template(audio), offset)
            else:
                packets = _transcode_packets(container, audio, _add_aac_stream(output, audio), offset)
            yield cls(packets, output)

    def write_until(self, seconds: Fraction) -> None:
        """Write the packets that begin before a time of the video; later ones are held back."""
        while self._next is not None and self._next.pts * self._next.time_base < seconds:
            self._output.mux(self._next)
            self._next = next(self._packets, None)


def _add_aac_stream(output: Any, audio: Any) -> Any:
    rate = next((rate for rate in AAC_RATES if rate >= audio.codec_context.sample_rate), AAC_RATES[-1])
    stream = output.add_stream("aac", rate=rate)
    # A plain WAV has no channel layout, only a number of channels, which AAC rejects.
    stream.codec_context.layout = "mono" if audio.codec_context.channels == 1 else "stereo"
    return stream


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
    target.codec_context.open(strict=False)
    for frame in _resample(_decode(container, audio, offset), target.codec_context):
        yield from target.encode(frame)
    yield from target.encode(None)


def _decode(container: Any, audio: Any, offset: Fraction) -> Iterator[Any]:
    """Yield the frames of a track, at their times in the new video."""
    for frame in container.decode(audio):
        if frame.pts is not None:
            frame.pts -= round(offset / frame.time_base)
            yield frame


def _resample(frames: Iterable[Any], context: Any) -> Iterator[Any]:
    """Convert frames to the format of an encoder; that of a broadcast changes between programs."""
    last_format: object = None
    resampler: Any = None
    for frame in frames:
        frame_format = (frame.format.name, frame.layout.name, frame.sample_rate)
        if frame_format != last_format:
            yield from resampler.resample(None) if resampler is not None else ()
            resampler = av.AudioResampler(
                context.format, context.layout, context.sample_rate, context.frame_size
            )
            last_format = frame_format
        yield from resampler.resample(frame)
    yield from resampler.resample(None) if resampler is not None else ()
