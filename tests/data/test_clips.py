from fractions import Fraction

import av
import numpy as np
import pytest

from faceanim.data.clips import read_clip, read_frame, write_clip
from faceanim.data.video import probe
from tests.videos import moving

NTSC = Fraction(30000, 1001)


@pytest.fixture
def frames():
    return [frame[:128, 100:228] for frame in moving(7, (140, 180))]


def test_a_random_frame_is_one_read(tmp_path, frames):
    offsets, lengths = write_clip(tmp_path / "c.avi", frames, NTSC, 95)
    every = read_clip(tmp_path / "c.avi", offsets, lengths)
    assert every.shape == (7, 128, 128, 3)
    assert np.array_equal(read_frame(tmp_path / "c.avi", offsets[4], lengths[4]), every[4])
    error = (every.astype(float) - np.stack(frames)) ** 2
    assert 10 * np.log10(255**2 / error.mean()) > 36


def test_a_player_opens_it(tmp_path, frames):
    offsets, lengths = write_clip(tmp_path / "c.avi", frames, NTSC, 95)
    info = probe(tmp_path / "c.avi")
    assert (info.fps, info.frames, info.width) == (NTSC, 7, 128)
    with av.open(str(tmp_path / "c.avi")) as container:
        assert container.streams.video[0].codec_context.name == "mjpeg"
        played = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    read = read_clip(tmp_path / "c.avi", offsets, lengths)
    assert len(played) == 7
    assert np.abs(np.stack(played) - read).mean() < 2


def test_the_same_frames_give_the_same_bytes(tmp_path, frames):
    assert write_clip(tmp_path / "a.avi", frames, NTSC, 95) == write_clip(
        tmp_path / "b.avi", frames, NTSC, 95
    )
    assert (tmp_path / "a.avi").read_bytes() == (tmp_path / "b.avi").read_bytes()


def test_a_wrong_place_is_no_frame(tmp_path, frames):
    offsets, lengths = write_clip(tmp_path / "c.avi", frames, NTSC, 95)
    for offset, length in ((0, 100), (offsets[0], 0)):
        with pytest.raises(ValueError, match="holds no JPEG"):
            read_frame(tmp_path / "c.avi", offset, length)
    with pytest.raises(ValueError, match="at least one frame"):
        write_clip(tmp_path / "d.avi", [], NTSC, 95)
    assert len(lengths) == 7
