"""Pixels that are not square: a video is as wide as a player shows it, and moves like the square one."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from faceanim.faces.cropping import ClipTarget, crop_video
from faceanim.inference.driving import DrivingVideo
from faceanim.media.av_frames import usable_aspect
from faceanim.media.boxes import Box
from faceanim.media.integrity import verify_video
from faceanim.media.video import probe, read_frames
from tests.helpers.encoding import encode
from tests.helpers.videos import SMALL_CROPS, moving

SIZE = (400, 300)


def write_stretched(path, frames, aspect, container="mp4", **options):
    """Write frames whose pixels are `aspect` times as wide as high, so that they are shown as they are."""
    size = round(frames[0].shape[1] / aspect), frames[0].shape[0]
    stored = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]
    sar = f"sar={aspect.numerator}\\:{aspect.denominator}"
    path.write_bytes(encode(container, stored, x264_params=sar, **options))
    return path


@pytest.mark.parametrize("aspect", [Fraction(8, 5), Fraction(2), Fraction(8, 9), Fraction(1, 2)])
@pytest.mark.parametrize(("container", "pix_fmt"), [("mp4", "yuv420p"), ("matroska", "yuv444p10le")])
def test_a_video_is_as_wide_as_it_is_shown(tmp_path, aspect, container, pix_fmt):
    frames = list(moving(3, (150, 160), SIZE))
    path = write_stretched(tmp_path / "v", frames, aspect, container, pix_fmt=pix_fmt)
    info = verify_video(path)
    assert (info.width, info.height) == SIZE
    for decoder in ("pyav", "decord"):
        read = list(read_frames(path, decoder))
        assert np.abs(np.stack(read).astype(float) - frames).mean() < 4


def test_rgb_pixels_are_stretched_too(tmp_path):
    frames = [frame[:, ::2] for frame in moving(3, (150, 160), SIZE)]
    path = tmp_path / "v.mkv"
    path.write_bytes(encode("matroska", frames, "libx264rgb", "rgb24", x264_params="sar=2\\:1"))
    assert [frame.shape for frame in read_frames(path, "pyav")] == [(300, 400, 3)] * 3


@pytest.mark.parametrize(
    ("stated", "applied"),
    [
        (None, 1),
        (Fraction(0), 1),
        (Fraction(6480, 6481), 1),
        (Fraction(200, 201), 1),
        (Fraction(64, 45), Fraction(64, 45)),
        (Fraction(1, 1000), None),
        (Fraction(100), None),
    ],
)
def test_ratios_that_cannot_be_meant_are_not_applied(stated, applied):
    assert usable_aspect(stated) == applied


def test_an_absurd_ratio_is_said(tmp_path, caplog):
    path = tmp_path / "v.mp4"
    path.write_bytes(encode("mp4", list(moving(2, (150, 160), SIZE)), x264_params="sar=1\\:20"))
    info = probe(path)
    assert (info.width, info.height) == SIZE
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: ignoring its implausible pixel aspect ratio of 1/20"
    ]


def test_a_box_of_a_list_is_found_in_a_stretched_video(tmp_path):
    """The list refers to the shown frames, in their own size or by their height alone."""
    frames = [np.hstack((left, right)) for left, right in zip(*[moving(6, (140, 150))] * 2, strict=True)]
    path = write_stretched(tmp_path / "v.mp4", frames, Fraction(16, 9))
    face = Box(480, 60, 620, 200)
    for number, size in enumerate(((800, 300), (None, 300))):
        target = ClipTarget(f"c{number}", 0, None, face, size)
        (row,) = crop_video(path, [target], SMALL_CROPS, tmp_path)
        assert row["status"] == "ok"
        assert Box(*row["box"]).contains_center_of(face)


def test_the_motion_is_that_of_the_square_video(awkward):
    videos = [
        DrivingVideo.read(path, probe(path), "largest", lambda count: None)
        for path in (awkward / "base.mp4", awkward / "anamorphic.mp4")
    ]
    square, stretched = (np.array(video.track.boxes) for video in videos)
    assert [(video.info.width, video.info.height) for video in videos] == [(640, 854)] * 2
    side = videos[0].squares[0].width
    # Viola-Jones sees a picture that was coded at half the width, so its box may move by a step of its search
    # in single frames. A ratio that is not applied moves it by a third of the square.
    assert np.abs(square - stretched).mean() / side < 0.01
    assert np.abs(square - stretched).max() / side < 0.05
    assert np.abs(np.subtract(videos[0].squares, videos[1].squares)).max() / side < 0.05
