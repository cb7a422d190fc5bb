"""Reading of video files, frame by frame, so that memory use does not grow with the length of a video."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from fractions import Fraction
from functools import lru_cache, partial
from itertools import dropwhile, islice
from pathlib import Path
from typing import Any, Literal

import av
from av.video.reformatter import VideoReformatter

from faceanim.media.av_frames import FrameLayout, from_av_frame, usable_aspect
from faceanim.media.colors import BT601, UNSPECIFIED, ColorTags, assume_matrix
from faceanim.media.containers import open_input, to_ffmpeg_name
from faceanim.media.frames import DecodedFrame, RgbFrame
from faceanim.media.frames import Frame as Frame
from faceanim.schemas import Reason

log = logging.getLogger(__name__)

Decoder = Literal["pyav", "decord"]

MAX_PIXELS = 8192 * 4320
"""Largest frame that is decoded, in pixels; a damaged header may claim any size."""
DECORD_CHUNK = 256
"""Frames after which decord's reader is reopened, because it keeps in memory what it has read."""
MAX_REORDERED_FRAMES = 17
"""Upper bound, with a margin, of the frames by which a key frame is decoded before it is shown.

Containers seek by decoding time.
"""

# In other containers, such as MPEG program streams, seeking is a guess, and decord drops and repeats frames.
_INDEXED = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})


class MediaError(Exception):
    """A file that is not a usable video; `reason` is stored in its record."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video file.

    Attributes:
        width: of a displayed frame, with square pixels and after rotation, in pixels.
        height: of a displayed frame, with square pixels and after rotation, in pixels.
        fps: exact mean frame rate, in frames per second.
        frames: number of frames, counted if the file does not state it.
        seconds: frames / fps.
        has_audio: whether the file has an audio track.
        layout: how decoded frames become displayed ones.
        container: FFmpeg's name of the format.
        caveats: what of the file cannot be shown as intended, for a message that begins with its name.
    """

    width: int
    height: int
    fps: Fraction
    frames: int
    seconds: float
    has_audio: bool
    layout: FrameLayout
    container: str
    caveats: tuple[str, ...]


def probe(path: Path) -> VideoInfo:
    """Open a video, decode its first frame and return the properties of the file.

    Raises:
        MediaError: with the reason `no_video_stream`, `too_large`, or `invalid_media` if no frame decodes.
        FileNotFoundError: the file does not exist.
    """
    with _open_video(path) as (container, stream):
        stated_colors = _read_colors(stream.codec_context)
        frame = next(container.decode(stream), None)
        rate = stream.average_rate or stream.guessed_rate
        if frame is None or not rate:
            raise MediaError(Reason.INVALID_MEDIA, f"cannot read {path}: no frame can be decoded")
        layout, caveats = _find_layout(frame, stream.sample_aspect_ratio, stated_colors)
        width, height = layout.compute_size(frame.width, frame.height)
        _check_pixels(path, width, height)
        for caveat in caveats:
            _log_once(f"{path}: {caveat}")
        frames = stream.frames or _count_packets(path)
        if container.format.name == "gif" and frames == 1:
            raise MediaError(Reason.INVALID_MEDIA, f"cannot read {path}: it is a still image")
        return VideoInfo(
            width=width,
            height=height,
            fps=Fraction(rate),
            frames=frames,
            seconds=float(frames / Fraction(rate)),
            has_audio=bool(container.streams.audio),
            layout=layout,
            container=container.format.name,
            caveats=caveats,
        )


def to_frame_range(info: VideoInfo, start_s: float, end_s: float | None) -> tuple[int, int | None]:
    """Convert a time range to the first frame and the exclusive end; None is the end of the video."""
    return round(start_s * info.fps), None if end_s is None else round(end_s * info.fps)


def read_frames(
    path: Path, decoder: Decoder, start_s: float = 0.0, end_s: float | None = None
) -> Iterator[Frame]:
    """Decode the frames of a time range in RGB, (H, W, 3), one at a time; see `decode_frames`."""
    info = probe(path)
    first, end = to_frame_range(info, start_s, end_s)
    return (frame.to_rgb() for frame in decode_frames(path, info, decoder, first, end))


def decode_frames(
    path: Path,
    info: VideoInfo,
    decoder: Decoder,
    first: int = 0,
    end: int | None = None,
    time: Fraction | None = None,
) -> Iterator[DecodedFrame]:
    """Decode the frames from number `first` to before `end` (None: to the last), upright, one at a time.

    Both decoders return the same frames: PyAV in exact colors, decord slightly dark, like FFmpeg's fast
    conversion. decord is used for the videos that it reads faithfully, PyAV for all others. The first frame
    is the one due at the mean frame rate. Because the rate may vary, `time` can select it instead: the
    `DecodedFrame.time` that an earlier pass reported.

    Raises:
        MediaError: the file is truncated in a way that the decoder notices, or its frame size changes.
    """
    limit = None if end is None else max(end - first, 0)
    if decoder == "decord" and (count := _count_decord_frames(path, info)):
        frames: Iterator[DecodedFrame] = _decode_with_decord(path, count, first, limit)
    else:
        frames = _decode_with_pyav(path, info, first, limit, time)
    for frame in frames:
        if frame.size != (info.width, info.height):
            raise MediaError(Reason.INVALID_MEDIA, f"cannot read {path}: its frame size changes")
        yield frame


@contextmanager
def wrap_media_errors(path: Path) -> Iterator[None]:
    """Turn FFmpeg's errors about a bad file into `MediaError`."""
    try:
        yield
    except (FileNotFoundError, MemoryError):
        raise
    except (av.FFmpegError, EOFError) as error:
        cause = error.strerror if isinstance(error, av.FFmpegError) else error
        raise MediaError(Reason.INVALID_MEDIA, f"cannot read {path}: {cause}") from None


@contextmanager
def _open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file and yield its container and its main video stream."""
    with wrap_media_errors(path), open_input(path) as container:
        stream = _video_stream(container, path)
        stream.codec_context.thread_count = 1  # the other cores process other videos
        yield container, stream


def _video_stream(container: Any, path: Path) -> Any:
    # The cover image of an audio file is a video stream to FFmpeg.
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams:
        raise MediaError(Reason.NO_VIDEO_STREAM, f"cannot read {path}: it has no video stream")
    if streams[0].codec_context is None:
        raise MediaError(Reason.INVALID_MEDIA, f"cannot read {path}: no decoder for its video stream")
    _check_pixels(path, streams[0].codec_context.width, streams[0].codec_context.height)
    return streams[0]


@lru_cache(maxsize=1024)
def _log_once(message: str) -> None:
    """Log a warning the first time: the same file is probed by several callers."""
    log.warning(message)


def _check_pixels(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise MediaError(
            Reason.TOO_LARGE, f"cannot read {path}: its header claims frames of {width}x{height}"
        )


def _find_layout(
    frame: Any, pixel_aspect: Fraction | None, stated: ColorTags
) -> tuple[FrameLayout, tuple[str, ...]]:
    """Find how a video's frames are shown, given its first one, and what cannot be shown as intended.

    Args:
        frame: decoded frame.
        pixel_aspect: pixel aspect ratio, if the file states one.
        stated: colors that the container states, for a decoder that reports none.
    """
    # The angle of an all-zero display matrix, which some cameras write, is meaningless.
    quarter_turns = round(frame.rotation / 90) % 4 if abs(frame.rotation) <= 180 else 0
    colors, aspect, caveats = _read_colors(frame, stated), usable_aspect(pixel_aspect), []
    if colors.obstacle is not None:
        caveats.append(f"{colors.obstacle} cannot be converted, so its colors may be wrong")
    if aspect is None:
        caveats.append(f"ignoring its implausible pixel aspect ratio of {pixel_aspect}")
    return FrameLayout(aspect or Fraction(1), quarter_turns, colors), tuple(caveats)


def _read_colors(source: Any, stated: ColorTags | None = None) -> ColorTags:
    """Read the color tags of a frame or a codec context; what is unspecified is that of `stated`."""
    tags = ColorTags(int(source.color_primaries), int(source.color_trc), int(source.colorspace))
    if stated is None:
        return tags
    return ColorTags(
        *(
            other if own == UNSPECIFIED else own
            for own, other in zip(astuple(tags), astuple(stated), strict=True)
        )
    )


def _count_packets(path: Path) -> int:
    with _open_video(path) as (container, stream):
        return sum(packet.size > 0 for packet in container.demux(stream))


def _count_decord_frames(path: Path, info: VideoInfo) -> int:
    """Count the frames that decord reads; 0 if it cannot handle the codec, the clock or the layout."""
    import decord

    if info.container not in _INDEXED or not info.layout.is_plain:
        return 0
    if info.layout.colors.matrix == UNSPECIFIED and assume_matrix(info.width, info.height) != BT601:
        return 0  # decord assumes BT.601
    try:
        return len(decord.VideoReader(to_ffmpeg_name(path), ctx=decord.cpu(0), num_threads=1))
    except (decord.DECORDError, RuntimeError, AssertionError):
        return 0


def _decode_with_decord(path: Path, count: int, first: int, limit: int | None) -> Iterator[DecodedFrame]:
    import decord

    last = count if limit is None else min(first + limit, count)
    try:
        for start in range(first, last, DECORD_CHUNK):
            reader = decord.VideoReader(to_ffmpeg_name(path), ctx=decord.cpu(0), num_threads=1)
            if start:
                reader.seek_accurate(start)
            for _ in range(min(DECORD_CHUNK, last - start)):
                frame = reader.next().asnumpy()
                if frame.shape[2] != 3:
                    raise MediaError(Reason.INVALID_MEDIA, f"cannot read {path}: too narrow for decord")
                yield RgbFrame(frame)
    except (decord.DECORDError, StopIteration) as error:
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        raise MediaError(Reason.INVALID_MEDIA, f"cannot read {path}: {first_line}") from None


def _decode_with_pyav(
    path: Path, info: VideoInfo, first: int, limit: int | None, time: Fraction | None
) -> Iterator[DecodedFrame]:
    with _open_video(path) as (container, stream):
        decoded = container.decode(stream)
        if first and info.container in _INDEXED and stream.start_time is not None:
            if time is None:
                # Half a frame early, because stored times are rounded.
                start = stream.start_time * stream.time_base
                time = start + (first - Fraction(1, 2)) / info.fps
            seek_time = time - MAX_REORDERED_FRAMES / info.fps
            container.seek(max(math.floor(seek_time / stream.time_base), 0), stream=stream)
            decoded = dropwhile(partial(_is_before, time), decoded)
        else:
            decoded = islice(decoded, first, None)
        reformatter = VideoReformatter()
        for frame in islice(decoded, limit):
            yield from_av_frame(frame, info.layout, reformatter)


def _is_before(time: Fraction, frame: Any) -> bool:
    return frame.pts is not None and frame.pts * frame.time_base < time
