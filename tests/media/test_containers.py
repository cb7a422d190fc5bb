"""Opening of media files: whatever their name or content says, FFmpeg opens this file and nothing else."""

import socketserver
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from faceanim.evaluation.test_set_export import write_ffv1
from faceanim.inference.output import FrameTiming, write_result
from faceanim.media.encode import write_mp4
from faceanim.media.images import read_image
from faceanim.media.integrity import verify_video
from faceanim.media.mjpeg import read_mjpeg, write_mjpeg
from faceanim.media.video import MediaError, probe, read_frames
from faceanim.provenance.metadata import COMMENT, read_comment
from faceanim.schemas import Reason
from tests.helpers.paths import PROJECT

STEMS = (
    "2026-01-01T12:30:00",
    "concat:other.mp4|other",
    "http:other",
    "file:other",
    "subfile,,start,0,end,0,,:other",
    "cache:other",
    "data:other",
    "pipe:0",
    "-",
    "%03d",
)
FPS = Fraction(25)
FRAMES = [np.full((48, 64, 3), level, np.uint8) for level in (60, 120, 180)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with the file that the names refer to if they are taken for addresses."""
    monkeypatch.chdir(tmp_path)
    write_mp4(tmp_path / "other.mp4", [np.full((32, 32, 3), 255, np.uint8)], FPS)
    return tmp_path


@pytest.fixture
def site():
    """Port of a server on 127.0.0.1, and the list of connections made to it."""
    connections: list[object] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connections.append(self.client_address)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1], connections
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("stem", STEMS)
def test_a_relative_name_is_that_of_a_file(folder, stem):
    timing = FrameTiming(np.arange(3) / 25, FPS, False)
    video, crops, lossless, gif = (Path(f"{stem}.{suffix}") for suffix in ("mp4", "avi", "mkv", "gif"))
    write_result(video, iter(FRAMES), timing, None)
    write_result(gif, iter(FRAMES), timing, None)
    write_ffv1(lossless, FRAMES, FPS)
    offsets = write_mjpeg(crops, FRAMES, FPS, 95)
    written = [path.name for path in folder.iterdir()]
    assert sorted(written) == sorted(["other.mp4", *map(str, (video, crops, lossless, gif))])
    assert verify_video(video) == probe(video)
    for decoded in (read_frames(video, "pyav"), read_frames(video, "decord"), read_frames(lossless, "pyav")):
        assert [frame.mean() for frame in decoded] == pytest.approx([60, 120, 180], abs=3)
    assert [frame.mean() for frame in read_mjpeg(crops, *offsets)] == pytest.approx([60, 120, 180], abs=1)
    assert read_image(gif).mean() == pytest.approx(60, abs=1)
    assert {read_comment(path) for path in (video, gif)} == {COMMENT}


def test_sound_is_that_of_the_file(folder):
    with av.open("sound.mp4", "w") as output:
        stream = output.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        output.mux([*stream.encode(frame), *stream.encode(None)])
    source = Path("sound.mp4").rename("concat:other.mp4|other.mp4")
    write_mp4(Path("out.mp4"), FRAMES, FPS, audio_from=source)
    assert probe(Path("out.mp4")).has_audio


@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "avi", "sdp", "ffconcat"])
def test_a_file_that_refers_to_others_is_refused(folder, site, suffix):
    port, connections = site
    address = f"http://127.0.0.1:{port}/other.mp4"
    texts = {
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
        "ffconcat": "ffconcat version 1.0\nfile other.mp4\n",
    }
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n"
    path = Path(f"list.{suffix}")
    path.write_text(texts.get(suffix, playlist))
    for read in (probe, lambda path: list(read_frames(path, "decord"))):
        with pytest.raises(MediaError) as caught:
            read(path)
        assert caught.value.reason is Reason.INVALID_MEDIA
    with pytest.raises(MediaError):
        write_mp4(Path("out.mp4"), FRAMES, FPS, audio_from=path)
    assert not Path("out.mp4").exists()
    assert connections == []


def test_ffmpeg_opens_files_in_one_place():
    sources = [path for name in ("faceanim", "flows", "stages") for path in (PROJECT / name).rglob("*.py")]
    sources += [path for name in ("benchmarks", "examples") for path in (PROJECT / name).rglob("*.py")]
    opening = {
        path.relative_to(PROJECT).as_posix()
        for path in sources
        if "av.open(" in path.read_text() or "VideoReader(str" in path.read_text()
    }
    assert opening == {"faceanim/media/containers.py"}
