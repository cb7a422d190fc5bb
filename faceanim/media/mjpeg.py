"""Crop files: MJPEG in AVI, which any player opens and in which each frame takes a single read.

Every frame is a separate JPEG. With its byte offset and length stored in a table, a random frame costs a seek
and a JPEG decode, without a demuxer; training reads frames in this way. Any inter-frame codec is far slower
here: opening a file and decoding up to the requested frame costs more than the frame itself.

The JPEGs quantize all coefficients alike. libjpeg's own tables save on fine detail, which the eye misses less
than a network trained on it, or PSNR, does: at the same size they are 1 dB worse, 2.5 dB on the worst clip.
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
from faceanim.media.containers import open_input, open_output
from faceanim.media.frames import Frame, Plane
from faceanim.tables import atomic_path

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"  # first and last two bytes of a JPEG


def write_mjpeg(
    path: Path, frames: Iterable[Frame], fps: Fraction, quality: int
) -> tuple[list[int], list[int]]:
    """Write (H, W, 3) RGB frames as JPEGs; the same frames give the same bytes.

    Args:
        path: destination, written atomically.
        frames: consumed one at a time.
        fps: exact frame rate in frames per second.
        quality: 1 to 100; the PSNR is about that of libjpeg at the same quality.

    Returns:
        the byte offset and the length of each frame's JPEG.
    """
    with atomic_path(path) as temporary:
        with open_output(temporary, "avi") as output:
            stream: Any = None
            for number, frame in enumerate(frames):
                if stream is None:
                    height, width = frame.shape[:2]
                    stream = output.add_mux_stream("mjpeg", rate=fps, width=width, height=height)
                    stream.time_base = 1 / fps
                output.mux(_make_packet(frame, number, stream, fps, quality))
            if stream is None:
                raise ValueError("a clip needs at least one frame")
        with open_input(temporary) as written:
            positions = [(packet.pos, packet.size) for packet in written.demux(video=0) if packet.size]
    return [offset for offset, _ in positions], [length for _, length in positions]


def read_frame(path: Path, offset: int, length: int) -> Frame:
    """Read the frame whose JPEG is at an offset: (H, W, 3), RGB uint8.

    Raises:
        FaceanimError: the file is missing or has no JPEG at the offset.
    """
    with _open_clip(path) as file:
        return _decode_jpeg(file, offset, length)


def stream_mjpeg(
    path: Path, offsets: Sequence[int], lengths: Sequence[int], luma: bool
) -> Iterator[Frame | Plane]:
    """Yield the frames whose JPEGs are at the offsets, in RGB or only their luma; see `read_mjpeg`."""
    with _open_clip(path) as file:
        mode = cv2.IMREAD_GRAYSCALE if luma else cv2.IMREAD_COLOR_RGB
        for position in zip(offsets, lengths, strict=True):
            yield _decode_jpeg(file, *position, mode)


def read_mjpeg(path: Path, offsets: Sequence[int], lengths: Sequence[int]) -> Frame:
    """Read the frames whose JPEGs are at the offsets: (N, H, W, 3), RGB uint8.

    Raises:
        FaceanimError: the file is missing or has no JPEG at one of the offsets.
    """
    with _open_clip(path) as file:
        return np.stack([_decode_jpeg(file, *position) for position in zip(offsets, lengths, strict=True)])


def _make_packet(frame: Frame, number: int, stream: Any, fps: Fraction, quality: int) -> Any:
    packet = av.Packet(_encode_jpeg(frame, quality))
    packet.stream, packet.time_base = stream, 1 / fps
    packet.pts = packet.dts = number
    packet.duration, packet.is_keyframe = 1, True
    return packet


def _encode_jpeg(frame: Frame, quality: int) -> bytes:
    step = (104 - quality) // 2
    jpeg = io.BytesIO()
    # Pillow, because OpenCV accepts no quantization tables.
    Image.fromarray(frame).save(jpeg, "JPEG", qtables=[[step] * 64] * 2, subsampling="4:2:0")
    return jpeg.getvalue()


def _open_clip(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise FaceanimError(f"{path} is missing; run the stage that writes it (`dvc repro crop`)") from None


def _decode_jpeg(file: BinaryIO, offset: int, length: int, mode: int = cv2.IMREAD_COLOR_RGB) -> Frame | Plane:
    file.seek(offset)
    jpeg = file.read(length)
    image = None
    # OpenCV silently fills in what is missing from a JPEG.
    if jpeg.startswith(_JPEG_START) and jpeg.endswith(_JPEG_END):
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), mode)
    if image is None:
        raise FaceanimError(f"{file.name} does not match its table; run `dvc repro crop`")
    return np.asarray(image, dtype=np.uint8)
