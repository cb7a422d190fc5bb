from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from skimage.data import astronaut, camera, coffee

from faceanim.media.encode import write_mp4
from faceanim.media.video import read_frames
from faceanim.provenance.watermark import Watermark, read_watermark

FRAMES = 24


def face_video(side: int) -> list[np.ndarray]:
    """Return frames of a portrait that moves slightly."""
    picture = cv2.resize(astronaut()[0:300, 70:370], (side + 12, side + 12), interpolation=cv2.INTER_AREA)
    return [picture[n // 4 : n // 4 + side, n // 2 : n // 2 + side] for n in range(FRAMES)]


def marked(frames: list[np.ndarray]) -> list[np.ndarray]:
    return [Watermark().mark(frame) for frame in frames]


def encode_and_read(path: Path, frames: list[np.ndarray], crf: int | None = None) -> list[np.ndarray]:
    """Return frames as read from an MP4 file; with `crf`, after another encoding by x264."""
    write_mp4(path, frames, Fraction(25))
    if crf is None:
        return list(read_frames(path, "pyav"))
    again = path.with_suffix(".again.mp4")
    with av.open(str(path)) as source, av.open(str(again), "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, 25), 0
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return list(read_frames(again, "pyav"))


def resized(frames: list[np.ndarray], side: int) -> list[np.ndarray]:
    return [cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames]


def test_it_is_invisible():
    for frame in (*face_video(256)[:3], coffee(), np.repeat(camera()[..., None], 3, axis=2)):
        difference = Watermark().mark(frame).astype(float) - frame
        assert 10 * np.log10(255**2 / np.mean(difference**2)) > 40
        assert np.abs(difference).max() <= 10


@pytest.mark.parametrize("side", [128, 256])
def test_it_survives_usual_changes_of_videos(tmp_path, side):
    frames = marked(face_video(side))
    ours = encode_and_read(tmp_path / "a.mp4", frames)
    keep = int(0.9 * side)
    done = {
        "nothing": ours,
        "encoded again": encode_and_read(tmp_path / "b.mp4", frames, crf=28),
        "75 % and back": resized(resized(ours, 3 * side // 4), side),
        "75 %": resized(ours, 3 * side // 4),
        "cropped": [frame[7 : 7 + keep, 5 : 5 + keep] for frame in ours],
        "one frame": ours[:1],
    }
    missed = {
        name: read_watermark(each).score for name, each in done.items() if not read_watermark(each).found
    }
    assert not missed


def test_it_is_read_from_a_whole_photograph_that_hardly_moves(tmp_path):
    still = cv2.resize(coffee(), (1280, 720), interpolation=cv2.INTER_CUBIC)
    assert read_watermark(encode_and_read(tmp_path / "a.mp4", marked([still] * 8), crf=28)).found


def test_what_is_not_marked_is_not_read(tmp_path):
    """Other patterns, the blocks of codecs and flat areas are not mistaken for the mark."""
    checks = np.kron(np.indices((32, 32)).sum(axis=0) % 2, np.ones((8, 8)))
    stripes = 127 + 100 * np.sin(np.arange(256) / 5.3 * 2 * np.pi)
    videos = [
        face_video(256),
        encode_and_read(tmp_path / "a.mp4", face_video(256), crf=40),
        encode_and_read(tmp_path / "b.mp4", face_video(128), crf=28),
        [np.repeat((255 * checks).astype(np.uint8)[..., None], 3, axis=2)],
        [np.repeat(np.tile(stripes, (256, 1)).astype(np.uint8)[..., None], 3, axis=2)],
        [np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)],
        [coffee()],
        [np.zeros((256, 256, 3), np.uint8)],
    ]
    scores = [read_watermark(frames).score for frames in videos]
    assert max(scores) < 7  # the threshold is 8


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (106, 300), (720, 1281)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_any_size_and_flat_frames(shape, level):
    frame = np.full((*shape, 3), level, np.uint8)
    made = Watermark().mark(frame)
    assert made.shape == frame.shape
    assert made.dtype == np.uint8
    assert not np.array_equal(made, frame)
    assert np.array_equal(made, Watermark().mark(frame))
    assert np.isfinite(read_watermark([made]).score)


def test_real_clips(shared, tmp_path):
    for name in ("grid_bbaf2n/grid_bbaf2n.mpg", "intel_thanks_small/intel_thanks_small.mkv"):
        frames = [frame[20:276, 40:296] for frame in read_frames(shared / "faces/clips" / name, "pyav", 0, 1)]
        plain = encode_and_read(tmp_path / "a.mp4", frames, crf=28)
        assert read_watermark(encode_and_read(tmp_path / "b.mp4", marked(frames), crf=28)).score > 12
        assert not read_watermark(plain).found
