"""Hostile files made from good ones: damaged, with false headers, or of another format.

Unusual but valid videos are in `tests.helpers.odd_videos`.
"""

import io
import struct
import wave
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import cv2
import numpy as np

from faceanim.media.frames import Frame
from tests.helpers.encoding import encode, encode_image, h264_claiming, mux, packets, sound_file

File = tuple[str, bytes]
"""`<kind>/<name>.<ext>`, and the content."""

_SCRIPTED = "private.mp4"
"""File that scripts and playlists make a player open."""

_FIELDS: dict[str, tuple[tuple[bytes, int], ...]] = {
    "plain.mp4": (
        (b"ftyp", 4), (b"mvhd", 16), (b"mvhd", 20), (b"tkhd", 16), (b"tkhd", 44), (b"mdhd", 16),
        (b"mdhd", 20), (b"hdlr", 12), (b"stsd", 8), (b"stsd", 12), (b"avcC", 4), (b"avcC", 12),
        (b"stts", 8), (b"stts", 12), (b"stts", 16), (b"stsc", 8), (b"stsc", 12), (b"stsc", 16),
        (b"stsz", 8), (b"stsz", 12), (b"stsz", 16), (b"stco", 8), (b"stco", 12), (b"stss", 8),
        (b"ctts", 8), (b"ctts", 16), (b"elst", 8), (b"elst", 12), (b"elst", 16), (b"elst", 20),
    ),
    "jpeg.avi": ((b"avih", 8), (b"avih", 24), (b"strh", 28), (b"strh", 32), (b"strf", 4), (b"idx1", 4)),
    "plain.mkv": ((b"\x23\xe3\x83", 4), (b"\x2a\xd7\xb1", 4), (b"\x1f\x43\xb6\x75", 4)),
}  # fmt: skip
"""Fields that a reader relies on, by file: a tag, and the offset of the field from the start of the tag."""


def good_files(frames: Sequence[Frame]) -> dict[str, bytes]:
    """Encode the frames in common containers and codecs."""
    flags = {"faststart": "+faststart", "fragments": "+frag_keyframe+empty_moov+default_base_moof"}
    return {
        "plain.mp4": encode("mp4", frames),
        "faststart.mp4": encode("mp4", frames, muxer={"movflags": flags["faststart"]}),
        "fragments.mp4": encode("mp4", frames, g=4, muxer={"movflags": flags["fragments"]}),
        "plain.mkv": encode("matroska", frames),
        "vp9.webm": encode("webm", frames, "libvpx-vp9", deadline="realtime"),
        "mpeg4.avi": encode("avi", frames, "mpeg4", qmax=4),
        "jpeg.avi": encode("avi", frames, "mjpeg", "yuvj420p", qmax=4),
        "program.mpg": encode("mpeg", frames, "mpeg1video", qmax=4),
        "transport.mpg": encode("mpegts", frames),
    }


def hostile_files(frames: Sequence[Frame], real_files: Mapping[str, bytes]) -> Iterator[File]:
    """Yield hundreds of hostile files; the same frames (8 or more) give the same files.

    Args:
        frames: frames of the good files that are damaged.
        real_files: further files to damage, by name.
    """
    good = good_files(frames)
    damageable = {**good, **real_files}
    return chain(
        _truncated(damageable),
        _flipped(damageable),
        _fields(good),
        _sizes(frames, good),
        _changing_size(frames),
        _something_else(frames, good["plain.mp4"]),
        _unplayable(frames),
        _nested(good["plain.mp4"]),
        _joined(good),
        _long(frames),
    )


def _truncated(good: dict[str, bytes]) -> Iterator[File]:
    for name, content in good.items():
        for percent in (1, 10, 30, 50, 70, 90, 99):
            yield f"truncated/{percent}-{name}", content[: len(content) * percent // 100]
        yield f"truncated/last-{name}", content[:-1]


def _flipped(good: dict[str, bytes]) -> Iterator[File]:
    """Flip bits at random: in the first and last bytes, where the headers are, and anywhere."""
    for number, (name, content) in enumerate(good.items()):
        random = np.random.default_rng(number)
        for turn in range(3):
            yield f"flipped/head{turn}-{name}", _with_flips(content, slice(0, 1000), 4, random)
            yield f"flipped/tail{turn}-{name}", _with_flips(content, slice(-1000, None), 4, random)
            yield f"flipped/any{turn}-{name}", _with_flips(content, slice(0, None), 4**turn, random)


def _with_flips(content: bytes, section: slice, count: int, random: np.random.Generator) -> bytes:
    damaged = np.frombuffer(content, np.uint8).copy()
    part = damaged[section]
    positions, bits = random.integers(part.size, size=count), random.integers(8, size=count)
    for position, bit in zip(positions, bits, strict=True):
        part[position] ^= 1 << bit
    return damaged.tobytes()


def _fields(good: dict[str, bytes]) -> Iterator[File]:
    """Write impossible counts, lengths, rates, times and offsets."""
    for name, fields in _FIELDS.items():
        for tag, offset in fields:
            for value in (b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff"):
                content = _patched(good[name], tag, offset, value)
                label = tag.decode() if tag.isalnum() else tag.hex()
                yield f"field/{label}-{offset}-{value.hex()}-{name}", content


def _patched(content: bytes, tag: bytes, offset: int, value: bytes) -> bytes:
    """Replace the bytes at an offset from the start of the first such tag."""
    start = content.index(tag) + offset
    return content[:start] + value + content[start + len(value) :]


def _sizes(frames: Sequence[Frame], good: dict[str, bytes]) -> Iterator[File]:
    """Declare huge or empty frames, in the container or in the encoded frames."""
    for name, side in (("huge", 0xFFFF), ("empty", 0)):
        shorts, longs = struct.pack(">HH", side, side), struct.pack("<ii", side, side)
        fixed = struct.pack(">HxxHxx", side, side)
        for file, tag, offset, value in (
            ("plain.mp4", b"tkhd", 80, fixed),
            ("plain.mp4", b"avc1", 28, shorts),
            ("jpeg.avi", b"avih", 40, longs),
            ("jpeg.avi", b"strf", 12, longs),
            ("jpeg.avi", b"\xff\xc0\0\x11\x08", 5, shorts),
            ("plain.mkv", b"\xb0\x82", 2, shorts[:2]),
            ("program.mpg", b"\0\0\1\xb3", 4, shorts[:3]),
            ("vp9.webm", b"\x49\x83\x42", 4, shorts),
        ):
            yield f"size/{name}-{tag.hex()}-{file}", _patched(good[file], tag, offset, value)
    for side in (1024, 2048, 8192, 12288, 65536):
        yield f"size/coded-{side}.avi", h264_claiming(side, frames)
    yield "size/jpeg-16384.avi", mux("mjpeg", [encode_image(np.zeros((16384, 16384), np.uint8), "JPEG")])


def _changing_size(frames: Sequence[Frame]) -> Iterator[File]:
    """Change the size of the frames in the middle of a video."""
    small = [cv2.resize(frame, (160, 120)) for frame in frames]
    for name, container, codec in (
        ("h264.mpg", "mpegts", "libx264"),
        ("mpeg4.avi", "avi", "mpeg4"),
        ("vp9.webm", "webm", "libvpx-vp9"),
        ("ffv1.mkv", "matroska", "ffv1"),
    ):
        for order, (one, other) in {"shrinks": (frames, small), "grows": (small, frames)}.items():
            halves = [packets(encode(container, half, codec)) for half in (one, other)]
            bare = codec.removeprefix("lib").replace("x264", "h264").replace("vpx-", "")
            yield f"changing-size/{order}-{name}", mux(bare, halves[0] + halves[1], container)
    images = [encode_image(frame, "JPEG") for pair in zip(frames, small, strict=True) for frame in pair]
    yield "changing-size/jpeg.avi", mux("mjpeg", images)


def _something_else(frames: Sequence[Frame], good: bytes) -> Iterator[File]:
    """Give names of videos to other files, among them scripts that refer to another file."""
    archive, sound = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("video.mp4", good)
    with wave.open(sound, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    others = {
        form.lower(): encode_image(frames[0], form)
        for form in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
    }
    others |= {
        "empty": b"",
        "zeros": bytes(5000),
        "noise": np.random.default_rng(0).bytes(50_000),
        "zip": archive.getvalue(),
        "wav": sound.getvalue(),
        "text": b"not a video\n" * 100,
        "html": b"<!DOCTYPE html><html><body>404</body></html>" * 20,
        "xml": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>',
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="320" height="240"></svg>',
        "subtitles": b"1\n00:00:01,000 --> 00:00:02,000\nhello\n\n" * 30,
        "program": b"\x7fELF" + bytes(3000),
        "sdp": b"v=0\nc=IN IP4 127.0.0.1\nm=video 49170 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "script": f"ffconcat version 1.0\nfile {_SCRIPTED}\n".encode(),
        "playlist": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{_SCRIPTED}\n#EXT-X-ENDLIST\n".encode(),
        "planes": b"YUV4MPEG2 W16 H16 F25:1 C420\n" + b"FRAME\n" * 3 + bytes(3 * 384),
    }
    for name, content in others.items():
        for suffix in ("mp4", "avi"):
            yield f"something-else/{name}.{suffix}", content


def _unplayable(frames: Sequence[Frame]) -> Iterator[File]:
    """Make files without a video stream, without a frame, or of an unknown codec."""
    yield "no-picture/sound.mp4", sound_file("mp4", "aac")
    yield "no-picture/sound.mkv", sound_file("matroska", "aac")
    yield "no-picture/sound.avi", sound_file("avi", "mp2")
    yield "no-picture/cover.mp4", sound_file("mp4", "aac", encode_image(frames[0], "JPEG"))
    for container, suffix in (("mp4", "mp4"), ("matroska", "mkv"), ("avi", "avi")):
        whole = encode(container, frames)
        yield f"no-picture/no-frames.{suffix}", mux("mjpeg", [], container)
        tag = {"mp4": b"avc1", "matroska": b"V_MPEG4/ISO/AVC", "avi": b"H264"}[container]
        yield f"no-picture/unknown-codec.{suffix}", whole.replace(tag, b"V_ZZZ4/ISO/ZZZ"[: len(tag)])


def _nested(good: bytes) -> Iterator[File]:
    """Nest boxes deeply, or give them lengths without an end or beyond their parent."""
    for kind in (b"moov", b"trak", b"udta", b"meta", b"zzzz"):
        for depth in (100, 20_000):
            sizes = (8 * (depth - level) for level in range(depth))
            boxes = b"".join(struct.pack(">I4s", size, kind) for size in sizes)
            yield f"nested/{kind.decode()}-{depth}.mp4", good[:32] + boxes + good[32:]
    for length in (0, 1, 7, 0x7FFFFFFF):
        yield (
            f"nested/length-{length:x}.mp4",
            good[:32] + struct.pack(">I4s", length, b"moov") * 50 + good[32:],
        )
    ebml = b"\x1a\x45\xdf\xa3\x84\x42\x82\x81\x30"
    yield "nested/segments.mkv", ebml + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" * 5000
    yield "nested/lists.avi", b"RIFF\xff\xff\xff\x7fAVI " + b"LIST\xff\xff\xff\x7fhdrl" * 5000


def _joined(good: dict[str, bytes]) -> Iterator[File]:
    """Put other content before or after a video."""
    junk = np.random.default_rng(1).bytes(20_000)
    for name, content in good.items():
        yield f"joined/junk-behind-{name}", content + junk
        yield f"joined/junk-before-{name}", junk + content
        yield f"joined/twice-{name}", content + content
    yield "joined/two-kinds.mp4", good["plain.mp4"] + good["plain.mkv"]
    yield "joined/two-kinds.mkv", good["plain.mkv"] + good["plain.mp4"]


def _long(frames: Sequence[Frame]) -> Iterator[File]:
    """Make videos of hours of tiny frames, and videos of a few pixels."""
    tiny = packets(encode("avi", [frame[::5, ::5] for frame in frames], "mpeg4"))
    for hours, container, suffix in ((2, "matroska", "mkv"), (1, "avi", "avi")):
        yield (
            f"long/{hours}-hours.{suffix}",
            mux("mpeg4", tiny * (hours * 3600 // len(tiny)), container, rate=1),
        )
    for width, height in ((1, 1), (2, 2), (16, 2), (300, 1), (17, 15)):
        small = [np.resize(frame, (height, width, 3)) for frame in frames]
        yield f"long/side-{width}x{height}.mkv", encode("matroska", small, "ffv1")
