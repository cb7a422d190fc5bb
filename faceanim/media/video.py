"""Reading video files, frame by frame: memory stays flat however long a video is."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import dropwhile, islice
from pathlib import Path
from typing import Any, Literal

import av
from av.video.reformatter import VideoReformatter

from faceanim.media.frames import DecodedFrame, RgbFrame, from_av_frame
from faceanim.media.frames import Frame as Frame
from faceanim.schemas import Reason

Decoder = Literal["pyav", "decord"]

MAX_PIXELS = 8192 * 4320
"""Largest frame decoded; a damaged header asks for any size."""
DECORD_CHUNK = 256
"""Frames after which decord's reader is opened anew: it keeps what it has read."""
MAX_REORDERED_FRAMES = 17
"""Frames by which a key frame may be decoded before it is shown, and a bit: one is sought by the former."""

# FFmpeg knows many more. Some only follow a script to other files, or draw what is a text or a picture.
_CONTAINERS = "mov,matroska,avi,mpeg,mpegts,mpegvideo"

# In other containers, MPEG program streams say, seeking is a guess, and decord drops and repeats frames.
_INDEXED = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})


class MediaError(Exception):
    """A file that is no usable video; `reason` goes into its record."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        width: of a frame as it is shown, rotation applied.
        height: likewise.
        fps: mean frame rate, exact.
        frames: how many, counted where the file does not say.
        seconds: frames / fps.
        has_audio: whether there is a sound track.
        rotation: quarter turns, counter-clockwise, that bring a decoded frame upright.
        container: FFmpeg's name of the format.
    """

    width: int
    height: int
    fps: Fraction
    frames: int
    seconds: float
    has_audio: bool
    rotation: int
    container: str


@contextmanager
def wrap_media_errors(path: Path) -> Iterator[None]:
    """Turn what FFmpeg says of a bad file into `MediaError`."""
    try:
        yield
    except (FileNotFoundError, MemoryError):
        raise
    except (av.FFmpegError, EOFError) as error:
        raise MediaError(Reason.INVALID_MEDIA, f"{path}: {error}") from None


@contextmanager
def _open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """A file's container, and the video stream that counts."""
    only = {"format_whitelist": _CONTAINERS}
    with (
        wrap_media_errors(path),
        av.open(str(path), container_options=only, metadata_errors="replace") as container,
    ):
        stream = _video_stream(container, path)
        stream.codec_context.thread_count = 1  # the other cores have other videos
        yield container, stream


def probe(path: Path) -> VideoInfo:
    """Open a video, decode its first frame and say what it holds.

    Raises:
        MediaError: `no_video_stream`, `too_large`, or `invalid_media` where no frame decodes.
        FileNotFoundError: there is no such file.
    """
    with _open_video(path) as (container, stream):
        frame = next(container.decode(stream), None)
        rate = stream.average_rate or stream.guessed_rate
        if frame is None or not rate:
            raise MediaError(Reason.INVALID_MEDIA, f"{path} has no frame that decodes")
        # A matrix of zeros, which some cameras write, has no angle that makes sense.
        turns = round(frame.rotation / 90) % 4 if abs(frame.rotation) <= 180 else 0
        width, height = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
        frames = stream.frames or _count_packets(path)
        return VideoInfo(
            width=width,
            height=height,
            fps=Fraction(rate),
            frames=frames,
            seconds=float(frames / Fraction(rate)),
            has_audio=bool(container.streams.audio),
            rotation=turns,
            container=container.format.name,
        )


def _video_stream(container: Any, path: Path) -> Any:
    # A cover picture in a sound file is a video stream to FFmpeg, but none to us.
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams:
        raise MediaError(Reason.NO_VIDEO_STREAM, f"{path} has no video stream")
    if streams[0].codec_context is None:
        raise MediaError(Reason.INVALID_MEDIA, f"{path} has a video stream that nothing here decodes")
    width, height = streams[0].codec_context.width, streams[0].codec_context.height
    if width * height > MAX_PIXELS:
        raise MediaError(Reason.TOO_LARGE, f"{path} claims frames of {width}x{height}")
    return streams[0]


def _count_packets(path: Path) -> int:
    with _open_video(path) as (container, stream):
        return sum(packet.size > 0 for packet in container.demux(stream))


def to_frame_range(info: VideoInfo, start_s: float, end_s: float | None) -> tuple[int, int | None]:
    """First frame and end (exclusive) of a stretch of time; None is the video's end."""
    return round(start_s * info.fps), None if end_s is None else round(end_s * info.fps)


def read_frames(
    path: Path, decoder: Decoder, start_s: float = 0.0, end_s: float | None = None
) -> Iterator[Frame]:
    """The pictures of `read_pictures` in colour: (H, W, 3) RGB, one at a time."""
    info = probe(path)
    first, end = to_frame_range(info, start_s, end_s)
    return (picture.to_rgb() for picture in decode_frames(path, info, decoder, first, end))


def decode_frames(
    path: Path,
    info: VideoInfo,
    decoder: Decoder,
    first: int = 0,
    end: int | None = None,
    time: Fraction | None = None,
) -> Iterator[DecodedFrame]:
    """Decode the frames from number `first` to before `end` (None: to the last), upright, one at a time.

    Both decoders give the same frames, PyAV in exact colours, decord a little dark, as FFmpeg's fast
    conversion is. decord is used for the videos that it reads faithfully, PyAV for all others. The first
    frame is the one due then at the mean rate, or, as the rate may change, the one with the `Picture.time`
    that an earlier reading told.

    Raises:
        MediaError: the file breaks off in a way that the decoder notices, or changes its frame size.
    """
    limit = None if end is None else max(end - first, 0)
    if decoder == "decord" and (count := _count_decord_frames(path, info)):
        pictures: Iterator[DecodedFrame] = _decode_with_decord(path, count, first, limit)
    else:
        pictures = _decode_with_pyav(path, info, first, limit, time)
    for picture in pictures:
        if picture.size != (info.width, info.height):
            raise MediaError(Reason.INVALID_MEDIA, f"{path} changes its frame size")
        yield picture


def _count_decord_frames(path: Path, info: VideoInfo) -> int:
    """How many frames decord reads; none where it does not know the codec, the clock or what is up."""
    import decord

    if info.container not in _INDEXED or info.rotation:
        return 0
    try:
        return len(decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1))
    except (decord.DECORDError, RuntimeError, AssertionError):
        return 0


def _decode_with_decord(path: Path, count: int, first: int, limit: int | None) -> Iterator[DecodedFrame]:
    import decord

    last = count if limit is None else min(first + limit, count)
    try:
        for start in range(first, last, DECORD_CHUNK):
            reader = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
            if start:
                reader.seek_accurate(start)
            for _ in range(min(DECORD_CHUNK, last - start)):
                frame = reader.next().asnumpy()
                if frame.shape[2] != 3:
                    raise MediaError(Reason.INVALID_MEDIA, f"{path} is too narrow for decord")
                yield RgbFrame(frame)
    except (decord.DECORDError, StopIteration) as error:
        raise MediaError(Reason.INVALID_MEDIA, f"{path}: {str(error).splitlines()[:1]}") from None


def _decode_with_pyav(
    path: Path, info: VideoInfo, first: int, limit: int | None, time: Fraction | None
) -> Iterator[DecodedFrame]:
    with _open_video(path) as (container, stream):
        decoded = container.decode(stream)
        if first and info.container in _INDEXED and stream.start_time is not None:
            if time is None:
                # Half a frame early: stored times are rounded.
                begin = stream.start_time * stream.time_base
                time = begin + (first - Fraction(1, 2)) / info.fps
            earlier = time - MAX_REORDERED_FRAMES / info.fps
            container.seek(max(math.floor(earlier / stream.time_base), 0), stream=stream)
            decoded = dropwhile(partial(_is_before, time), decoded)
        else:
            decoded = islice(decoded, first, None)
        reformatter = VideoReformatter()
        for frame in islice(decoded, limit):
            yield from_av_frame(frame, info.rotation, reformatter)


def _is_before(time: Fraction, frame: Any) -> bool:
    return frame.pts is not None and frame.pts * frame.time_base < time
