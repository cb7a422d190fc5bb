"""Video and image files for tests: frames encoded with chosen options, and packets muxed without a check."""

import io
import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from PIL import Image

from faceanim.media.frames import Frame


def encode(
    container: str,
    frames: Sequence[Frame],
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: Fraction = Fraction(25),
    times: Sequence[int] | None = None,
    rotation: int = 0,
    muxer: dict[str, str] | None = None,
    **options: Any,
) -> bytes:
    """Encode (H, W, 3) RGB frames to a video file, which is returned as bytes.

    Args:
        container: FFmpeg's name of the format.
        frames: frames of equal size.
        codec: name of the encoder.
        pix_fmt: pixel format of the encoded frames.
        rate: frames per second.
        times: presentation time of each frame, in units of 1 / rate; None: equally spaced.
        rotation: degrees counter-clockwise by which a player rotates the frames.
        muxer: options of the container.
        options: options of the encoder.
    """
    with TemporaryDirectory() as folder:  # not in memory: `faststart` reads the file again
        path = Path(folder) / "video"
        with av.open(str(path), "w", format=container, options=muxer or {}) as output:
            encoder_options = {name.replace("_", "-"): str(value) for name, value in options.items()}
            stream = output.add_stream(codec, rate=rate, options=encoder_options)
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = pix_fmt
            stream.codec_context.thread_count = 1
            stream.codec_context.time_base = 1 / rate
            if rotation:
                stream.set_display_rotation(rotation)
            for number, frame in enumerate(frames):
                rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")
                converted = rgb.reformat(format=pix_fmt)
                converted.pts, converted.time_base = times[number] if times else number, 1 / rate
                output.mux(stream.encode(converted))
            output.mux(stream.encode(None))
        return path.read_bytes()


def packets(content: bytes) -> list[bytes]:
    """Return the encoded frames of a video file."""
    with av.open(io.BytesIO(content)) as source:
        return [bytes(packet) for packet in source.demux(video=0) if packet.size]


def mux(codec: str, encoded: Sequence[bytes], container: str = "avi", rate: int = 25) -> bytes:
    """Write encoded frames, valid or not, to a video file whose header declares 320x240 pixels."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_mux_stream(codec, rate=rate, width=320, height=240)
        stream.time_base = Fraction(1, rate)
        output.start_encoding()
        for number, content in enumerate(encoded):
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, Fraction(1, rate)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            output.mux(packet)
    return file.getvalue()


def encode_image(frame: Frame, image_format: str) -> bytes:
    """Encode a frame to an image file; `image_format` is a name of Pillow."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, image_format)
    return file.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header declares this size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def sound_file(container: str, codec: str, cover: bytes | None = None) -> bytes:
    """Return a file with 1024 samples of silence and, optionally, a JPEG as its cover image."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        sound = output.add_stream(codec, rate=48000)
        if cover is not None:
            art = output.add_mux_stream("mjpeg", rate=1, width=320, height=240)
            art.disposition = av.stream.Disposition.attached_pic
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        silence.rate = 48000
        output.mux(sound.encode(silence))
        output.mux(sound.encode(None))
        if cover is not None:
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts = art, 0, 0
            output.mux(packet)
    return file.getvalue()


def h264_claiming(side: int, frames: Sequence[Frame]) -> bytes:
    """Encode H.264 whose parameter set declares `side` x `side` pixels, more than its slices fill.

    Args:
        side: declared width and height, a multiple of 16.
        frames: frames to encode.
    """
    encoded = packets(encode("avi", frames, profile="baseline", bf=0))
    start = encoded[0].index(b"\0\0\0\1\x67") + 8  # after profile and level
    end = encoded[0].index(b"\0\0\0\1", start)
    bits = "".join(f"{byte:08b}" for byte in encoded[0][start:end].replace(b"\0\0\3", b"\0\0"))
    fields = []
    for _ in range(4):  # parameter set ID, bits of the frame number, picture order count, reference frames
        value, bits = _decode_exp_golomb(bits)
        fields.append(value)
    assert fields[2] == 2  # types 0 and 1 have further fields
    _, after_width = _decode_exp_golomb(bits[1:])  # after a flag
    _, after_height = _decode_exp_golomb(after_width)
    sizes = _encode_exp_golomb(side // 16 - 1) * 2
    changed = "".join(map(_encode_exp_golomb, fields)) + bits[0] + sizes + after_height
    length = -(-len(changed) // 8)
    parameters = int(changed.ljust(8 * length, "0"), 2).to_bytes(length, "big")
    encoded[0] = encoded[0][:start] + parameters + encoded[0][end:]
    return mux("h264", encoded)


def _decode_exp_golomb(bits: str) -> tuple[int, str]:
    """Decode an Exp-Golomb number; return it and the remaining bits."""
    end = 2 * bits.index("1") + 1
    return int(bits[:end], 2) - 1, bits[end:]


def _encode_exp_golomb(value: int) -> str:
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits
