"""Video files written for tests: frames encoded as asked, and coded frames put into files unseen."""

import io
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
    """A video file of these (H, W, 3) RGB frames, in memory.

    Args:
        container: FFmpeg's name of the format.
        frames: all of one size.
        codec: the encoder.
        pix_fmt: how it keeps pixels.
        rate: frames a second.
        times: when each frame is shown, in units of 1 / rate; None: one after the other.
        rotation: degrees counter-clockwise, by which a player turns what is in the file.
        muxer: options of the container.
        options: options of the encoder.
    """
    with TemporaryDirectory() as folder:  # not in memory: an index is put first by reading the file
        path = Path(folder) / "video"
        with av.open(str(path), "w", format=container, options=muxer or {}) as output:
            named = {name.replace("_", "-"): str(value) for name, value in options.items()}
            stream = output.add_stream(codec, rate=rate, options=named)
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = pix_fmt
            stream.codec_context.thread_count = 1
            stream.codec_context.time_base = 1 / rate
            if rotation:
                stream.set_display_rotation(rotation)
            for number, frame in enumerate(frames):
                rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")
                coded = rgb.reformat(format=pix_fmt)
                coded.pts, coded.time_base = times[number] if times else number, 1 / rate
                output.mux(stream.encode(coded))
            output.mux(stream.encode(None))
        return path.read_bytes()


def packets(content: bytes) -> list[bytes]:
    """The coded frames of a video file."""
    with av.open(io.BytesIO(content)) as source:
        return [bytes(packet) for packet in source.demux(video=0) if packet.size]


def mux(codec: str, coded: Sequence[bytes], container: str = "avi", rate: int = 25) -> bytes:
    """A video file of coded frames, whatever they are, that claims to be of 320 x 240."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_mux_stream(codec, rate=rate, width=320, height=240)
        stream.time_base = Fraction(1, rate)
        output.start_encoding()
        for number, content in enumerate(coded):
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, Fraction(1, rate)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            output.mux(packet)
    return file.getvalue()


def picture(frame: Frame, form: str) -> bytes:
    """A still image file; `form` is Pillow's name of its format."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, form)
    return file.getvalue()


def sound_file(container: str, codec: str, cover: bytes | None = None) -> bytes:
    """A moment of silence, with a JPEG as its cover picture if there is one."""
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
    """H.264 whose parameters claim frames of `side` x `side` (16 n), more than its slices fill."""
    coded = packets(encode("avi", frames, profile="baseline", bf=0))
    start = coded[0].index(b"\0\0\0\1\x67") + 8  # after profile and level
    end = coded[0].index(b"\0\0\0\1", start)
    bits = "".join(f"{byte:08b}" for byte in coded[0][start:end].replace(b"\0\0\3", b"\0\0"))
    fields = []
    for _ in range(4):  # the set's id, length of a frame's number, order of frames, references
        value, bits = _read_number(bits)
        fields.append(value)
    assert fields[2] == 2  # 0 and 1 have fields of their own
    width = _read_number(bits[1:])  # after a flag
    height = _read_number(width[1])
    claim = "".join(map(_number, fields)) + bits[0] + _number(side // 16 - 1) * 2 + height[1]
    length = -(-len(claim) // 8)
    coded[0] = (
        coded[0][:start] + int(claim.ljust(8 * length, "0"), 2).to_bytes(length, "big") + coded[0][end:]
    )
    return mux("h264", coded)


def _read_number(bits: str) -> tuple[int, str]:
    """An Exp-Golomb number, and the bits behind it."""
    end = 2 * bits.index("1") + 1
    return int(bits[:end], 2) - 1, bits[end:]


def _number(value: int) -> str:
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits
