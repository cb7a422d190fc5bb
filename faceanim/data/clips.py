"""Crop files: MJPEG in AVI, which any player opens, and of which one frame is one read.

Every frame is a JPEG of its own. With its byte offset and length kept in a table, a random frame costs a seek
and a JPEG decode, and no demuxer; that is what training reads. Any inter-frame codec loses by far here:
opening a file and decoding up to the frame asked for costs more than the frame.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from faceanim.data.video import Frame
from faceanim.tables import atomic_path


def write_clip(
    path: Path, frames: Iterable[Frame], fps: Fraction, quality: int
) -> tuple[list[int], list[int]]:
    """Write (H, W, 3) RGB frames as JPEGs of `quality` (1 to 100); the same frames give the same bytes.

    Returns:
        the byte offset and the length of each frame's JPEG.
    """
    with atomic_path(path) as temporary:
        with av.open(str(temporary), "w", options={"fflags": "+bitexact"}) as output:
            stream: Any = None
            for number, frame in enumerate(frames):
                if stream is None:
                    height, width = frame.shape[:2]
                    stream = output.add_mux_stream("mjpeg", rate=fps, width=width, height=height)
                    stream.time_base = 1 / fps
                output.mux(_packet(frame, number, stream, fps, quality))
            if stream is None:
                raise ValueError("a clip needs at least one frame")
        with av.open(str(temporary)) as written:
            places = [(packet.pos, packet.size) for packet in written.demux(video=0) if packet.size]
    return [offset for offset, _ in places], [length for _, length in places]


def _packet(frame: Frame, number: int, stream: Any, fps: Fraction, quality: int) -> Any:
    bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    packet = av.Packet(jpeg.tobytes())
    packet.stream, packet.time_base = stream, 1 / fps
    packet.pts = packet.dts = number
    packet.duration, packet.is_keyframe = 1, True
    return packet


def read_frame(path: Path, offset: int, length: int) -> Frame:
    """The one frame whose JPEG lies there: (H, W, 3) RGB uint8."""
    with path.open("rb") as file:
        file.seek(offset)
        return _decode(file.read(length), path)


def read_clip(path: Path, offsets: Sequence[int], lengths: Sequence[int]) -> Frame:
    """All the frames whose JPEGs lie there: (N, H, W, 3) RGB uint8."""
    data = path.read_bytes()
    places = zip(offsets, lengths, strict=True)
    return np.stack([_decode(data[start : start + length], path) for start, length in places])


def _decode(jpeg: bytes, path: Path) -> Frame:
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if bgr is None:
        raise ValueError(f"{path} holds no JPEG at that place; the table belongs to another file")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
