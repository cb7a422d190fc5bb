from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from faceanim.evaluation.comparison_video import GAP, HEADER, write_comparison_video
from faceanim.viz import draw_error, draw_keypoints, keypoint_color

TITLES = ("source", "driving", "prediction")
SIDE = 96


def face(shift: int, side: int) -> np.ndarray:
    cut = np.ascontiguousarray(astronaut()[20:212, 130 + shift : 322 + shift])
    return cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA)


def rows(count: int):
    for number in range(count):
        yield face(0, 64), face(number, 64), face(number, 128)


def decoded(path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("videos") / "best.webm"
    assert write_comparison_video(path, TITLES, rows(30), Fraction(30000, 1001), SIDE) == 30
    return path


def test_format_for_browsers(video):
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert container.format.name == "matroska,webm"
        assert stream.codec_context.name in {"vp9", "libvpx-vp9"}
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert container.duration / 1e6 == pytest.approx(30 * 1001 / 30000, abs=0.002)
        assert float(stream.average_rate) == pytest.approx(29.97, abs=0.01)
        keys = [packet.pts for packet in container.demux(stream) if packet.is_keyframe]
    assert len(keys) >= 2
    assert video.read_bytes().find(b"\x1c\x53\xbb\x6b") < 500  # the cues come before the frames


def test_pictures_and_titles_are_in_it(video):
    frames = decoded(video)
    assert frames.shape == (30, HEADER + SIDE + GAP, 4 + 3 * (SIDE + GAP), 3)
    for column, (shift, side) in enumerate(((0, 64), (20, 64), (20, 128))):
        left = GAP + column * (SIDE + GAP)
        shown = frames[20, HEADER : HEADER + SIDE, left : left + SIDE].astype(int)
        wanted = cv2.resize(face(shift, side), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        assert np.abs(shown - wanted).mean() < 8
        assert frames[20, :HEADER, left : left + SIDE].max() > 150  # a title
    assert np.abs(frames[20, HEADER:, GAP:SIDE].astype(int) - frames[0, HEADER:, GAP:SIDE]).mean() < 3


def test_twice_is_the_same_bytes_without_dates_or_versions(video, tmp_path):
    write_comparison_video(tmp_path / "again.webm", TITLES, rows(30), Fraction(30000, 1001), SIDE)
    stored = video.read_bytes()
    assert (tmp_path / "again.webm").read_bytes() == stored
    assert b"Lavf6" not in stored
    assert b"Lavc6" not in stored


@pytest.mark.slow
def test_size_and_quality(tmp_path):
    columns = ("source", "driving", "prediction", "super-resolved", "error")
    noise = np.random.default_rng(0).normal(0, 3, (100, 128, 128, 3))

    def frames():
        for number in range(100):
            driving = face(number // 4, 128)
            predicted = (cv2.GaussianBlur(driving, None, 2) + noise[number]).clip(0, 255).astype(np.uint8)
            yield face(0, 128), driving, predicted, predicted, draw_error(predicted, driving)

    write_comparison_video(tmp_path / "video.webm", columns, frames(), Fraction(25), 192)
    assert (tmp_path / "video.webm").stat().st_size < 400_000


def test_odd_sizes_become_even(tmp_path):
    write_comparison_video(tmp_path / "odd.webm", ["a"], ([face(0, 63)] for _ in range(2)), Fraction(25), 63)
    assert decoded(tmp_path / "odd.webm").shape == (2, 94, 72, 3)


def test_a_failure_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="at least one frame"):
        write_comparison_video(tmp_path / "video.webm", TITLES, [], Fraction(25), SIDE)
    with pytest.raises(ValueError, match=r"2 images for 3 columns \(source, driving, prediction\)"):
        write_comparison_video(tmp_path / "video.webm", TITLES, [[face(0, 64)] * 2], Fraction(25), SIDE)
    assert not list(tmp_path.iterdir())


def test_frames_are_requested_one_at_a_time(tmp_path):
    alive = []

    class Picture(np.ndarray):
        def __del__(self):
            alive.remove(None)

    def frames():
        for number in range(12):
            assert len(alive) <= 1  # the one that the encoder has just drawn
            picture = face(number, 64).view(Picture)
            alive.append(None)
            yield [picture]

    write_comparison_video(tmp_path / "video.webm", ["a"], frames(), Fraction(25), 64)


def test_error_picture_has_a_fixed_scale():
    driving = np.full((4, 4, 3), 100, np.uint8)
    prediction = driving.copy()
    prediction[0, 0] = (0, 100, 100)  # 100 / 3 / 255 = 0.131
    prediction[0, 1] = 255  # 155 / 255 = 0.61: over the scale
    error = draw_error(prediction, driving)
    assert error.dtype == np.uint8
    assert error[3, 3].max() < 10
    assert error[3, 3].sum() < error[0, 0].astype(int).sum() < error[0, 1].astype(int).sum()
    np.testing.assert_array_equal(error, draw_error(driving, prediction))  # no wrapping around
    brightest = draw_error(np.full_like(driving, 255), np.zeros_like(driving))
    np.testing.assert_array_equal(error[0, 1], brightest[0, 0])


def test_keypoints_are_dots_at_their_positions():
    gray = np.full((64, 64, 3), 128, np.uint8)
    # The center of the first pixel, which is 4 wide here, and a quarter of the way.
    keypoints = np.array([[-1, -1], [-0.5, 0.5], [0, 0]], np.float32)
    drawn = draw_keypoints(gray, keypoints)
    assert drawn.shape == (256, 256, 3)
    first, second = round(0.5 * 4 - 0.5), round((0.25 * 63 + 0.5) * 4 - 0.5)
    third = round((0.75 * 63 + 0.5) * 4 - 0.5)
    np.testing.assert_array_equal(drawn[first, first], keypoint_color(0))
    np.testing.assert_array_equal(drawn[third, second], keypoint_color(1))
    label = drawn[third - 8 : third + 9, second + 8 : second + 24]
    assert (label == 255).all(axis=2).any()  # its number, white
    assert (label == 0).all(axis=2).any()  # outlined
    assert (drawn[200:, 200:] == 128).all()
    assert (gray == 128).all()


def test_a_larger_picture_is_not_made_smaller():
    assert draw_keypoints(np.zeros((300, 300, 3), np.uint8), np.zeros((1, 2), np.float32)).shape == (
        300,
        300,
        3,
    )


def test_keypoints_have_distinct_colors():
    colors = np.array([keypoint_color(number) for number in range(10)], dtype=int)
    gaps = np.abs(colors[:, None] - colors[None]).sum(axis=2)[~np.eye(10, dtype=bool)]
    assert gaps.min() > 60
