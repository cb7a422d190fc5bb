"""What is odd but valid is read as a player shows it, and as exactly when it is read again."""

from fractions import Fraction

import numpy as np
import pytest

from faceanim.config import CropConfig
from faceanim.faces import cropping
from faceanim.faces.cropping import ClipTarget, crop_video
from faceanim.media.video import MediaError, decode_frames, probe, read_frames
from tests.helpers.encoding import encode
from tests.helpers.odd_videos import odd_videos
from tests.helpers.videos import contents, moving

CONFIG = CropConfig(
    size=64,
    min_size=32,
    min_frames=2,
    max_frames=5,
    min_iou=0.25,
    margin=0.1,
    cut_threshold=0.04,
    jpeg_quality=95,
    decoder="pyav",
)
WHOLE = ClipTarget("c", 0.0, None, None, None)
KEYED = {
    "closed.mp4": ("mp4", {"g": 8}),
    "fragments.mp4": ("mp4", {"g": 8, "muxer": {"movflags": "+frag_keyframe+empty_moov"}}),
    "open.mp4": ("mp4", {"g": 8, "x264_params": "open-gop=1"}),
    "open-hevc.mp4": ("mp4", {"codec": "libx265", "x265_params": "keyint=8:min-keyint=8:log-level=none"}),
    "ntsc.mkv": ("matroska", {"g": 8, "rate": Fraction(30000, 1001)}),
    "late.mp4": ("mp4", {"g": 8, "times": range(1000, 1040)}),
    "no-times.mkv": ("matroska", {"g": 8, "times": range(-50, -10), "muxer": {"avoid_negative_ts": "0"}}),
    "live.webm": ("webm", {"codec": "libvpx-vp9", "g": 8, "deadline": "realtime", "muxer": {"live": "1"}}),
}
"""Videos with a key frame in each eight, which are decoded in other orders than they are shown."""


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Each odd video: its file, and what there is to know of it."""
    folder = tmp_path_factory.mktemp("odd")
    frames = [frame[:240, :320] for frame in moving(12, (150, 170))]
    videos = {folder / video.name: video for video in odd_videos(frames)}
    for path, video in videos.items():
        path.write_bytes(video.content)
    return videos


@pytest.mark.parametrize("decoder", ["pyav", "decord"])
def test_odd_videos_show_every_frame_upright_and_in_its_colours(odd, decoder):
    wrong = {}
    for path, video in odd.items():
        shown = list(read_frames(path, decoder))
        assert (probe(path).width, probe(path).height) == video.frames[0].shape[1::-1], path.name
        assert len(shown) == len(video.frames), path.name
        difference = np.stack(shown).astype(float) - np.stack(video.frames)
        if np.abs(difference).mean() > 4 or np.abs(difference.mean((0, 1, 2))).max() > 3.5:
            wrong[path.name] = np.abs(difference).mean(), difference.mean((0, 1, 2))
    assert wrong == {}


@pytest.mark.parametrize("max_bytes", [0, 200_000])
def test_what_is_read_again_is_the_same(odd, tmp_path, monkeypatch, max_bytes):
    """Of long sequences in large frames not all is kept; even if the rate changes or there are no times."""
    for path in odd:
        crop_video(path, [WHOLE], CONFIG, tmp_path / "kept" / path.name)
    monkeypatch.setattr(cropping, "MAX_BUFFER_BYTES", max_bytes)
    for path in odd:
        crop_video(path, [WHOLE], CONFIG, tmp_path / "again" / path.name)
    crops = contents(tmp_path / "kept")
    assert len(crops) > 2 * len(odd)
    assert contents(tmp_path / "again") == crops


@pytest.mark.parametrize("name", KEYED)
def test_a_stretch_begins_at_its_frame_wherever_the_key_frames_lie(tmp_path, name):
    container, options = KEYED[name]
    frames = [frame[60:180, 100:260] for frame in moving(40, (130, 230))]
    path = tmp_path / name
    path.write_bytes(encode(container, frames, **options))
    info = probe(path)
    whole = list(read_frames(path, "pyav"))
    assert len(whole) == 40
    for first in range(40):
        part = [picture.to_rgb() for picture in decode_frames(path, info, "pyav", first, first + 2)]
        assert np.array_equal(part, whole[first : first + 2]), first


def test_a_script_makes_nobody_open_another_file(tmp_path):
    good = encode("mp4", list(moving(3, (150, 160))))
    (tmp_path / "good.mp4").write_bytes(good)
    (tmp_path / "script.mp4").write_text("ffconcat version 1.0\nfile good.mp4\n")
    assert probe(tmp_path / "good.mp4").frames == 3
    with pytest.raises(MediaError):
        probe(tmp_path / "script.mp4")
