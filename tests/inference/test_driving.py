from fractions import Fraction
from itertools import chain

import cv2
import numpy as np
import pytest

from faceanim.errors import FaceanimError
from faceanim.inference.driving import DrivingVideo, track_face
from faceanim.inference.keypoints import KeypointArray
from faceanim.media.encode import write_mp4
from faceanim.media.video import probe
from tests.helpers.videos import head, moving, noise


def lumas(*parts):
    return [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in chain(*parts)]


def two(count: int):
    """Yield frames with a small face on the left that moves, and a large one on the right that does not."""
    for x in np.linspace(110, 180, count):
        yield np.hstack((head((300, 300), (float(x), 140)), head((300, 300), (150, 150), 1.3)))


def test_there_is_a_box_for_every_frame():
    boxes = track_face(lumas(noise(3), moving(20, (100, 300)), noise(2)), "largest", "x")
    assert len(boxes) == 25
    assert boxes[0] == boxes[4]
    assert boxes[-1] == boxes[22]
    assert boxes[22].x0 - boxes[5].x0 == pytest.approx(17 / 19 * 200, abs=30)


def test_faces_are_counted_from_the_left():
    left, right, largest = (track_face(lumas(two(12)), face, "x") for face in (1, 2, "largest"))
    assert all(box.x1 < 300 for box in left)
    assert left[-1].x0 - left[0].x0 > 30
    assert all(box.x0 > 300 for box in chain(right, largest))


def test_the_tracker_does_not_switch_from_the_chosen_face():
    alone = (
        np.hstack((noise_frame, head((300, 300), (150, 150), 1.3))) for noise_frame in noise(20, (300, 300))
    )
    boxes = track_face(lumas(two(12), alone), 1, "x")
    assert all(box.x1 < 300 for box in boxes)


def test_a_face_that_appears_later_can_be_chosen():
    first = (
        np.hstack((noise_frame, head((300, 300), (150, 150), 1.3))) for noise_frame in noise(7, (300, 300))
    )
    boxes = track_face(lumas(first, two(12)), 2, "x")
    assert len(boxes) == 19
    assert all(box.x0 > 300 for box in boxes)


def test_no_face_or_too_few():
    with pytest.raises(FaceanimError, match=r"^no face found in a\.mp4"):
        track_face(lumas(noise(8)), "largest", "a.mp4")
    with pytest.raises(FaceanimError, match=r"^cannot select face 3: only 2 found in a\.mp4"):
        track_face(lumas(two(6)), 3, "a.mp4")


def test_where_the_square_travels_keypoints_are_those_of_the_square(tmp_path):
    """The square is cropped at whole even pixels; the rounding error is corrected in the keypoints."""
    places = np.linspace(120, 780, 90)
    walk = [
        cv2.circle(head((900, 300), (x, 140)), (round(8 * x), 8 * 90), 60, (255, 0, 0), -1, cv2.LINE_AA, 3)
        for x in places.tolist()
    ]
    write_mp4(tmp_path / "walk.mp4", walk, Fraction(30))

    class RedCenter:
        """A network whose keypoint is the center of the red area, to a fraction of a pixel."""

        device, size, output_size, batch, detector_id = "cpu", 64, 64, 8, "red center"

        def detect(self, frames):
            red = np.maximum(frames[..., 0].astype(np.float32) - frames[..., 1:].max(-1) - 100, 0)
            ramp = np.linspace(-1, 1, 64, dtype=np.float32)
            x = (red.sum(1) * ramp).sum(1) / red.sum((1, 2))
            return KeypointArray(np.stack((x, 0 * x), -1)[:, None])

        def portrait(self, frame):
            raise NotImplementedError

    video = DrivingVideo.track(tmp_path / "walk.mp4", probe(tmp_path / "walk.mp4"), "largest", print)
    assert len({square.x0 for square in video.squares}) > 80
    motion = video.motion(RedCenter(), lambda done: None)
    x = motion.points.value[5:-5, 0, 0]
    # In half squares, so this is one pixel; without the correction it would be three.
    assert np.abs(np.diff(x, 2)).max() < 2 / video.squares[0].width
    assert motion.faces.shape == (90, 4)
    assert ((motion.faces > 0) & (motion.faces < 1)).all()
