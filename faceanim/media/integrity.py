"""Is a file a whole video? What a download or a copy has to pass before it counts.

FFmpeg reads a file that breaks off to where it does and says nothing, so the lengths that containers state
are checked here: an MP4 and a Matroska file say to the byte how long they are, others at least in seconds.
"""

import struct
from pathlib import Path
from typing import BinaryIO

import av

from faceanim.media.video import MediaError, VideoInfo, probe
from faceanim.schemas import Reason

MISSING_FRACTION, MISSING_S = 0.01, 1.0
"""A file may be shorter than stated by this share and these seconds: sites round, streams end unevenly."""

_ISO_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"moof", b"wide", b"free", b"skip", b"styp", b"sidx"})
_EBML_MAGIC, _SEGMENT = b"\x1a\x45\xdf\xa3", 0x18538067


def verify_video(path: Path, seconds: float | None = None) -> VideoInfo:
    """Check that a file is a video and all there, and say what it holds.

    Args:
        path: the file.
        seconds: how long it should be, where somebody says so.

    Raises:
        MediaError: `truncated`: it ends before its container, its container's duration or `seconds` say;
            or what `probe` raises.
        FileNotFoundError: there is no such file.
    """
    is_whole = _is_complete(path)
    if is_whole is False:
        raise MediaError(Reason.TRUNCATED, f"{path} is shorter than its container says")
    info = probe(path)
    if is_whole and seconds is None:
        return info
    stated, held = _measure_durations(path, info)
    for expected in (stated, seconds):
        if expected is not None and held < expected * (1 - MISSING_FRACTION) - MISSING_S:
            raise MediaError(Reason.TRUNCATED, f"{path} has {held:.1f} of {expected:.1f} seconds")
    return info


def _measure_durations(path: Path, info: VideoInfo) -> tuple[float | None, float]:
    """Seconds that the container states, and those that its packets fill."""
    only = info.container.partition(",")[0]
    try:
        with av.open(str(path), format=only, metadata_errors="replace") as container:
            stated = None if container.duration is None else container.duration / av.time_base
            begin = (container.start_time or 0) / av.time_base
            ends = (
                float((packet.pts + (packet.duration or 0)) * packet.time_base)
                for packet in container.demux()
                if packet.pts is not None
            )
            return stated, max(ends, default=begin) - begin
    except (av.FFmpegError, EOFError) as error:
        raise MediaError(Reason.INVALID_MEDIA, f"{path}: {error}") from None


def _is_complete(path: Path) -> bool | None:
    """Whether the file reaches as far as its container's own structure; None where that does not say."""
    size = path.stat().st_size
    with path.open("rb") as file:
        begin = file.read(8)
        if begin[4:] in _ISO_BOXES:
            return _is_complete_iso_media(file, size)
        if begin.startswith(_EBML_MAGIC):
            return _is_complete_matroska(file, size)
        if begin.startswith(b"RIFF") and len(begin) == 8 and 8 + int.from_bytes(begin[4:], "little") > size:
            return False
    return None


def _is_complete_iso_media(file: BinaryIO, size: int) -> bool | None:
    """No box of the top level runs past the end, and the one that describes the others is there."""
    position, seen = 0, set()
    while position + 8 <= size:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind not in _ISO_BOXES and b"moov" in seen:
            return None  # others append what is no part of the video
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        if length == 0:
            length = size - position
        if length < 8 or position + length > size:
            return False
        seen.add(kind)
        position += length
    if b"moov" not in seen:
        return False
    return None if b"moof" in seen else True  # fragments may be missing


def _is_complete_matroska(file: BinaryIO, size: int) -> bool | None:
    """The segment, which holds everything, does not run past the end."""
    position = 0
    while position < size:
        file.seek(position)
        kind = _read_vint(file, keep_marker=True)
        length = _read_vint(file, keep_marker=False)
        if kind is None or length is None:
            return None
        position = file.tell() + length
        if kind == _SEGMENT:
            return position <= size
    return False


def _read_vint(file: BinaryIO, keep_marker: bool) -> int | None:
    """EBML's integer, whose leading zero bits say how many bytes follow; None if unknown or no such."""
    first = file.read(1)
    if first in (b"", b"\0"):
        return None
    bits = first[0].bit_length()
    rest = file.read(8 - bits)
    value = int.from_bytes(first + rest, "big")
    payload = 7 * (9 - bits)
    if keep_marker:
        return value
    unmarked = value & ((1 << payload) - 1)
    return None if unmarked == (1 << payload) - 1 else unmarked
