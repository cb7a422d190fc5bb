"""Crop files: MJPEG in AVI, which any player opens, and of which one frame is one read.

Every frame is a JPEG of its own. With its byte offset and length kept in a table, a random frame costs a seek
and a JPEG decode, and no demuxer; that is what training reads. Any inter-frame codec loses by far here:
opening a file and decoding up to the frame asked for costs more than the frame.

The JPEGs round every coefficient alike. libjpeg's own tables spare the fine detail, which the eye misses less
than a network that is trained on it, or a PSNR: at one size they are 1 dB worse, 2.5 dB on the worst clip.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import cv2
import numpy as np
from PIL import Image

from faceanim.errors import FaceanimError
from faceanim.media.frames import Frame, Plane
from faceanim.tables import atomic_path

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"  # of a JPEG


def write_mjpeg(
    path: Path, frames: Iterable[Frame], fps: Fraction, quality: int
) -> tuple[list[int], list[int]]:
    """Write (H, W, 3) RGB frames as JPEGs; the same frames give the same bytes.

    Args:
        path: written whole or not at all.
        frames: taken one at a time.
        fps: frames a second, exact.
        quality: 1 to 100, about as faithful (PSNR) as libjpeg at that quality.

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
                output.mux(_make_packet(frame, number, stream, fps, quality))
            if stream is None:
                raise ValueError("a clip needs at least one frame")
        with av.open(str(temporary)) as written:
            places = [(packet.pos, packet.size) for packet in written.demux(video=0) if packet.size]
    return [offset for offset, _ in places], [length for _, length in places]


def _make_packet(frame: Frame, number: int, stream: Any, fps: Fraction, quality: int) -> Any:
    packet = av.Packet(_encode_jpeg(frame, quality))
    packet.stream, packet.time_base = stream, 1 / fps
    packet.pts = packet.dts = number
    packet.duration, packet.is_keyframe = 1, True
    return packet


def _encode_jpeg(frame: Frame, quality: int) -> bytes:
    step = (104 - quality) // 2
    jpeg = io.BytesIO()
    # Not by OpenCV, which takes no tables.
    Image.fromarray(frame).save(jpeg, "JPEG", qtables=[[step] * 64] * 2, subsampling="4:2:0")
    return jpeg.getvalue()


def read_frame(path: Path, offset: int, length: int) -> Frame:
    """The one frame whose JPEG lies there: (H, W, 3) RGB uint8.

    Raises:
        FaceanimError: the file is gone, or has no JPEG there.
    """
    with _open_clip(path) as file:
        return _decode_jpeg(file, offset, length)


def stream_mjpeg(
    path: Path, offsets: Sequence[int], lengths: Sequence[int], luma: bool
) -> Iterator[Frame | Plane]:
    """The frames whose JPEGs lie there, one at a time: RGB, or only their brightness; see `read_clip`."""
    with _open_clip(path) as file:
        mode = cv2.IMREAD_GRAYSCALE if luma else cv2.IMREAD_COLOR_RGB
        for place in zip(offsets, lengths, strict=True):
            yield _decode_jpeg(file, *place, mode)


def read_mjpeg(path: Path, offsets: Sequence[int], lengths: Sequence[int]) -> Frame:
    """All the frames whose JPEGs lie there: (N, H, W, 3) RGB uint8.

    Raises:
        FaceanimError: the file is gone, or has no JPEG at one of the places.
    """
    with _open_clip(path) as file:
        return np.stack([_decode_jpeg(file, *place) for place in zip(offsets, lengths, strict=True)])


def _open_clip(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise FaceanimError(f"{path} is missing; run the stage that writes it (`dvc repro crop`)") from None


def _decode_jpeg(file: BinaryIO, offset: int, length: int, mode: int = cv2.IMREAD_COLOR_RGB) -> Frame | Plane:
    file.seek(offset)
    jpeg = file.read(length)
    image = None
    # OpenCV fills up what is missing, and does not say so.
    if jpeg.startswith(_JPEG_START) and jpeg.endswith(_JPEG_END):
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), mode)
    if image is None:
        raise FaceanimError(f"{file.name} is not as its table says; run `dvc repro crop`")
    return np.asarray(image, dtype=np.uint8)
