"""Unusual but valid videos are read as a player shows them, and identically when they are read again."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from faceanim.faces import cropping
from faceanim.faces.cropping import ClipTarget, crop_video
from faceanim.media.video import MediaError, decode_frames, probe, read_frames
from tests.helpers.encoding import encode
from tests.helpers.odd_videos import odd_videos
from tests.helpers.videos import SMALL_CROPS, contents, moving

CONFIG = SMALL_CROPS.model_copy(update={"max_frames": 5})
WHOLE = ClipTarget("c", 0.0, None, None, None)
KEYED: dict[str, tuple[str, dict[str, Any]]] = {
    "closed.mp4": ("mp4", {"g": 8}),
    "fragments.mp4": ("mp4", {"g": 8, "muxer": {"movflags": "+frag_keyframe+empty_moov"}}),
    "open.mp4": ("mp4", {"g": 8, "x264_params": "open-gop=1"}),
    "open-hevc.mp4": ("mp4", {"codec": "libx265", "x265_params": "keyint=8:min-keyint=8:log-level=none"}),
    "ntsc.mkv": ("matroska", {"g": 8, "rate": Fraction(30000, 1001)}),
    "late.mp4": ("mp4", {"g": 8, "times": range(1000, 1026)}),
    "no-times.mkv": ("matroska", {"g": 8, "times": range(-50, -24), "muxer": {"avoid_negative_ts": "0"}}),
    "live.webm": ("webm", {"codec": "libvpx-vp9", "g": 8, "deadline": "realtime", "muxer": {"live": "1"}}),
}
"""Videos with a key frame every eight frames, whose frames are not stored in the order of display."""


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Files of the odd videos, each with its description."""
    folder = tmp_path_factory.mktemp("odd")
    frames = [frame[:240, :320] for frame in moving(12, (150, 170))]
    videos = {folder / video.name: video for video in odd_videos(frames)}
    for path, video in videos.items():
        path.write_bytes(video.content)
    return videos


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["pyav", "decord"])
def test_odd_videos_give_every_frame_upright_and_in_the_right_colors(odd, decoder):
    wrong = {}
    for path, video in odd.items():
        shown = list(read_frames(path, decoder))
        assert (probe(path).width, probe(path).height) == video.frames[0].shape[1::-1], path.name
        assert len(shown) == len(video.frames), path.name
        difference = np.stack(shown).astype(float) - np.stack(video.frames)
        if np.abs(difference).mean() > 4 or np.abs(difference.mean((0, 1, 2))).max() > 3.5:
            wrong[path.name] = np.abs(difference).mean(), difference.mean((0, 1, 2))
    assert wrong == {}


@pytest.fixture(scope="module")
def buffered_crops(odd, tmp_path_factory):
    """Content of the crop files of all odd videos, cropped without a second decoding."""
    folder = tmp_path_factory.mktemp("buffered")
    for path in odd:
        crop_video(path, [WHOLE], CONFIG, folder / path.name)
    return contents(folder)


@pytest.mark.slow
@pytest.mark.parametrize("max_bytes", [0, 200_000])
def test_frames_decoded_again_are_the_same(odd, buffered_crops, tmp_path, monkeypatch, max_bytes):
    """Long sequences of large frames are buffered in part, also if the rate changes or times are missing."""
    monkeypatch.setattr(cropping, "MAX_BUFFER_BYTES", max_bytes)
    for path in odd:
        crop_video(path, [WHOLE], CONFIG, tmp_path / path.name)
    assert len(buffered_crops) > 2 * len(odd)
    assert contents(tmp_path) == buffered_crops


@pytest.mark.parametrize("name", KEYED)
def test_a_range_starts_at_its_frame_wherever_the_key_frames_are(tmp_path, name):
    container, options = KEYED[name]
    frames = [frame[60:180, 100:260] for frame in moving(26, (130, 230))]
    path = tmp_path / name
    path.write_bytes(encode(container, frames, **options))
    info = probe(path)
    whole = list(read_frames(path, "pyav"))
    assert len(whole) == 26
    for first in range(26):
        part = [frame.to_rgb() for frame in decode_frames(path, info, "pyav", first, first + 2)]
        assert np.array_equal(part, whole[first : first + 2]), first


def test_a_script_does_not_open_another_file(tmp_path):
    good = encode("mp4", list(moving(3, (150, 160))))
    (tmp_path / "good.mp4").write_bytes(good)
    (tmp_path / "script.mp4").write_text("ffconcat version 1.0\nfile good.mp4\n")
    assert probe(tmp_path / "good.mp4").frames == 3
    with pytest.raises(MediaError):
        probe(tmp_path / "script.mp4")
