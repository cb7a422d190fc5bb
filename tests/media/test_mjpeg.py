import os
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from faceanim.errors import FaceanimError
from faceanim.media.mjpeg import read_frame, read_mjpeg, write_mjpeg
from faceanim.media.video import probe
from tests.helpers.videos import moving

NTSC = Fraction(30000, 1001)


def psnr(image, reference):
    return 10 * np.log10(255**2 / np.mean((image.astype(float) - reference) ** 2))


@pytest.fixture
def frames():
    return [frame[:128, 100:228] for frame in moving(7, (140, 180))]


def test_random_access_gives_the_same_frame(tmp_path, frames):
    offsets, lengths = write_mjpeg(tmp_path / "c.avi", frames, NTSC, 95)
    every = read_mjpeg(tmp_path / "c.avi", offsets, lengths)
    assert every.shape == (7, 128, 128, 3)
    assert np.array_equal(read_frame(tmp_path / "c.avi", offsets[4], lengths[4]), every[4])
    assert psnr(every, np.stack(frames)) > 36


def test_players_open_the_file(tmp_path, frames):
    offsets, lengths = write_mjpeg(tmp_path / "c.avi", frames, NTSC, 95)
    info = probe(tmp_path / "c.avi")
    assert (info.fps, info.frames, info.width) == (NTSC, 7, 128)
    with av.open(str(tmp_path / "c.avi")) as container:
        assert container.streams.video[0].codec_context.name == "mjpeg"
        played = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    read = read_mjpeg(tmp_path / "c.avi", offsets, lengths)
    assert len(played) == 7
    assert np.abs(np.stack(played) - read).mean() < 2
    capture = cv2.VideoCapture(str(tmp_path / "c.avi"))
    captured = [capture.read() for _ in range(8)]
    assert [found for found, _ in captured] == [True] * 7 + [False]
    bgr = np.stack([frame for found, frame in captured if found])
    assert np.abs(bgr[..., ::-1].astype(int) - read).mean() < 2


def test_the_same_frames_give_the_same_bytes(tmp_path, frames):
    assert write_mjpeg(tmp_path / "a.avi", frames, NTSC, 95) == write_mjpeg(
        tmp_path / "b.avi", frames, NTSC, 95
    )
    assert (tmp_path / "a.avi").read_bytes() == (tmp_path / "b.avi").read_bytes()


def test_an_offset_without_a_frame_is_refused(tmp_path, frames):
    path = tmp_path / "c.avi"
    offsets, lengths = write_mjpeg(path, frames, NTSC, 95)
    for offset, length in ((0, 100), (offsets[0], 0), (offsets[0] + 2, lengths[0]), (offsets[0], lengths[1])):
        with pytest.raises(FaceanimError, match=r"c\.avi does not match its table"):
            read_frame(path, offset, length)
    os.truncate(path, offsets[3] + lengths[3] // 2)
    assert read_frame(path, offsets[2], lengths[2]).shape == (128, 128, 3)
    for number in (3, 4):
        with pytest.raises(FaceanimError, match=r"c\.avi does not match its table"):
            read_frame(path, offsets[number], lengths[number])
    with pytest.raises(FaceanimError, match=r"c\.avi does not match its table"):
        read_mjpeg(path, offsets, lengths)
    path.unlink()
    for read in (
        lambda: read_frame(path, offsets[0], lengths[0]),
        lambda: read_mjpeg(path, offsets, lengths),
    ):
        with pytest.raises(FaceanimError, match=r"c\.avi is missing"):
            read()


def test_a_clip_without_frames_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one frame"):
        write_mjpeg(tmp_path / "d.avi", [], NTSC, 95)
    assert list(tmp_path.iterdir()) == []


def test_frames_are_closer_to_the_original_than_libjpeg_s_of_the_same_size(tmp_path):
    image = cv2.resize(astronaut(), (256, 256), interpolation=cv2.INTER_AREA)
    offsets, lengths = write_mjpeg(tmp_path / "c.avi", [image], NTSC, 88)
    decoded = read_frame(tmp_path / "c.avi", offsets[0], lengths[0])
    jpegs = [
        cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        for quality in range(70, 100)
    ]
    largest = max((jpeg for jpeg in jpegs if len(jpeg) <= lengths[0]), key=len)
    assert len(largest) > 0.9 * lengths[0]
    assert psnr(decoded, image) > psnr(cv2.imdecode(largest, cv2.IMREAD_COLOR)[..., ::-1], image) + 1


def test_quality_sets_size_and_fidelity(tmp_path, frames):
    sizes, values = [], []
    for quality in (1, 50, 75, 88, 95, 100):
        offsets, lengths = write_mjpeg(tmp_path / "c.avi", frames, NTSC, quality)
        sizes.append(sum(lengths))
        values.append(psnr(read_mjpeg(tmp_path / "c.avi", offsets, lengths), np.stack(frames)))
    assert sizes == sorted(sizes)
    assert values == sorted(values)
    assert values[-1] > values[0] + 10
