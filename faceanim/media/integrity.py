"""Completeness checks of video files after a download or a copy.

FFmpeg reads a truncated file up to its end without an error, so the lengths that containers state are checked
here: MP4 and Matroska files state theirs to the byte, others at least in seconds.
"""

import struct
from pathlib import Path
from typing import BinaryIO

import av

from faceanim.media.containers import open_input
from faceanim.media.video import MediaError, VideoInfo, probe
from faceanim.schemas import Reason

MISSING_FRACTION, MISSING_S = 0.01, 1.0
"""Fraction of the stated duration, plus seconds, that may be missing: sites round, streams end unevenly."""

_ISO_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"moof", b"wide", b"free", b"skip", b"styp", b"sidx"})
_EBML_MAGIC, _SEGMENT = b"\x1a\x45\xdf\xa3", 0x18538067


def verify_video(path: Path, seconds: float | None = None) -> VideoInfo:
    """Check that a file is a complete video, and return its properties.

    Args:
        path: the video file.
        seconds: expected duration, if it is known.

    Raises:
        MediaError: with the reason `truncated`, the file is shorter than its container, the duration in its
            container or `seconds` states; with other reasons, see `probe`.
        FileNotFoundError: the file does not exist.
    """
    is_whole = _is_complete(path)
    if is_whole is False:
        raise MediaError(Reason.TRUNCATED, f"{path} is truncated: it is shorter than its container states")
    info = probe(path)
    if is_whole and seconds is None:
        return info
    stated, actual = _measure_durations(path, info)
    for expected in (stated, seconds):
        if expected is not None and actual < expected * (1 - MISSING_FRACTION) - MISSING_S:
            raise MediaError(
                Reason.TRUNCATED, f"{path} is truncated: it has {actual:.1f} of {expected:.1f} seconds"
            )
    return info


def _measure_durations(path: Path, info: VideoInfo) -> tuple[float | None, float]:
    """Return the duration that the container states and the one that its packets cover, in seconds."""
    try:
        with open_input(path, info.container) as container:
            stated = None if container.duration is None else container.duration / av.time_base
            start = (container.start_time or 0) / av.time_base
            ends = (
                float((packet.pts + (packet.duration or 0)) * packet.time_base)
                for packet in container.demux()
                if packet.pts is not None
            )
            return stated, max(ends, default=start) - start
    except (av.FFmpegError, EOFError) as error:
        raise MediaError(Reason.INVALID_MEDIA, f"cannot read {path}: {error}") from None


def _is_complete(path: Path) -> bool | None:
    """Check whether the file is as long as its container's structure states; None if it states no length."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if head[4:] in _ISO_BOXES:
            return _is_complete_iso_media(file, size)
        if head.startswith(_EBML_MAGIC):
            return _is_complete_matroska(file, size)
        if head.startswith(b"RIFF") and len(head) == 8 and 8 + int.from_bytes(head[4:], "little") > size:
            return False
    return None


def _is_complete_iso_media(file: BinaryIO, size: int) -> bool | None:
    """Check that no top-level box exceeds the file and that `moov`, which describes the rest, is present."""
    position, seen = 0, set()
    while position + 8 <= size:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind not in _ISO_BOXES and b"moov" in seen:
            return None  # data that another program appended and that is not part of the video
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
    """Check that the segment, which contains all other elements, does not exceed the file."""
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
    """Read an EBML integer, whose leading zero bits give the number of further bytes.

    Returns:
        the integer; None if it is invalid or means an unknown length.
    """
    first = file.read(1)
    if first in (b"", b"\0"):
        return None
    bits = first[0].bit_length()
    rest = file.read(8 - bits)
    value = int.from_bytes(first + rest, "big")
    payload_bits = 7 * (9 - bits)
    if keep_marker:
        return value
    unmarked = value & ((1 << payload_bits) - 1)
    return None if unmarked == (1 << payload_bits) - 1 else unmarked
