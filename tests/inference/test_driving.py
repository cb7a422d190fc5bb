from fractions import Fraction

import cv2
import numpy as np

from faceanim.inference.driving import DrivingVideo
from faceanim.inference.keypoints import KeypointArray
from faceanim.inference.point_reader import open_points
from faceanim.media.encode import write_mp4
from faceanim.media.video import probe
from tests.helpers.videos import head


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
        landmark_detector = None

        def detect(self, frames, landmarks=None):
            red = np.maximum(frames[..., 0].astype(np.float32) - frames[..., 1:].max(-1) - 100, 0)
            ramp = np.linspace(-1, 1, 64, dtype=np.float32)
            x = (red.sum(1) * ramp).sum(1) / red.sum((1, 2))
            return KeypointArray(np.stack((x, 0 * x), -1)[:, None])

        def portrait(self, frame, landmarks=None):
            raise NotImplementedError

    video = DrivingVideo.read(tmp_path / "walk.mp4", probe(tmp_path / "walk.mp4"), "largest", print)
    assert len({square.x0 for square in video.squares}) > 80
    with open_points(RedCenter()) as reader:
        motion = video.motion(reader, lambda done: None)
    x = motion.points.value[5:-5, 0, 0]
    # In half squares, so this is one pixel; without the correction it would be three.
    assert np.abs(np.diff(x, 2)).max() < 2 / video.squares[0].width
    assert motion.faces.shape == (90, 4)
    assert ((motion.faces > 0) & (motion.faces < 1)).all()
