"""Animation by videos in which some frames do not show the face."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

import faceanim
from faceanim import Options
from faceanim.errors import FaceanimError
from faceanim.inference.compose import AnimatedFace
from faceanim.inference.keypoints import KeypointArray
from faceanim.inference.motion import Motion, Visibility, bridge_unseen
from faceanim.inference.point_reader import PointReader
from faceanim.media.boxes import Box
from faceanim.media.images import read_image
from faceanim.media.video import read_frames
from tests.helpers.driving import moving_face
from tests.helpers.videos import write

PLAIN = Options(watermark=False, super_resolution=False)


def animate(portrait, driving, out, network):
    """Animate a portrait; return the result and its frames."""
    result = faceanim.animate(portrait, driving, out, model=network, options=PLAIN)
    return result, np.asarray(list(read_frames(out, "pyav")), int)


def differ(a, b) -> float:
    """Return the mean difference of two frames, in levels."""
    return float(np.abs(a - b).mean())


@pytest.mark.parametrize("level", [0, 128])
def test_hidden_frames_are_between_the_frames_around_them(portrait, network, tmp_path, level):
    driving = moving_face()
    for frame in driving[7:14]:
        frame[:] = level
    result, frames = animate(
        portrait, write(tmp_path / "driving.mp4", driving), tmp_path / "out.mp4", network
    )
    assert result.unseen_frames == 7
    assert result.warnings == (
        "7 of 21 driving frames show no face; the motion is bridged there",
        "much of the motion is missing; cut out the part of the video that shows the face",
    )
    around = differ(frames[6], frames[14])
    assert all(min(differ(frame, frames[6]), differ(frame, frames[14])) <= around for frame in frames[7:14])
    steps = [differ(*pair) for pair in pairwise(frames[6:15])]
    assert max(steps) < around / 2  # nothing jumps


@pytest.mark.parametrize("name", ["late", "lost_mid"])
def test_awkward_videos(awkward, network, tmp_path, name):
    result, frames = animate(awkward / "portrait.png", awkward / f"{name}.mp4", tmp_path / "out.mp4", network)
    hidden = range(18) if name == "late" else range(15, 31)
    before, after = max(hidden.start - 1, 0), hidden.stop
    assert result.unseen_frames == len(hidden)
    around = max(differ(frames[before], frames[after]), 0.5)
    assert all(
        min(differ(frames[n], frames[before]), differ(frames[n], frames[after])) <= around for n in hidden
    )


def test_a_driver_without_a_face_in_nearly_all_frames_is_refused(portrait, network, tmp_path):
    frames = moving_face()
    driving = write(tmp_path / "driving.mp4", [*frames[:3], *[np.zeros_like(frames[0])] * 40])
    with pytest.raises(FaceanimError, match=r"only 3 of 43 frames show the face"):
        faceanim.animate(portrait, driving, tmp_path / "out.mp4", model=network)
    with pytest.raises(FaceanimError, match=r"only 3 of 43 frames show the face"):
        faceanim.save_motion(driving, tmp_path / "out.motion", model=network)
    assert [path.name for path in tmp_path.iterdir()] == ["driving.mp4"]


def test_the_motion_never_starts_at_a_hidden_frame(portrait, network):
    """The keypoints that were read from a hidden frame may by chance be most like the portrait's."""
    value = np.random.default_rng(0).uniform(-1, 1, (6, 4, 2)).astype(np.float32)
    faces = np.tile(np.array([0.3, 0.3, 0.7, 0.7], np.float32), (6, 1))
    visibility = np.array([0, 0, 1, 0, 2, 0], np.uint8)
    motion = Motion(KeypointArray(value), faces, visibility, np.arange(6) / 25, Fraction(25), "x")
    image, face = read_image(portrait), Box(180, 60, 280, 160)
    reader = PointReader(network, None)
    own = AnimatedFace.prepare(reader, image, face, motion, Options()).portrait.keypoints
    for hidden in (2, 4):
        value[hidden] = own.value[0]
    start = AnimatedFace.prepare(reader, image, face, motion, Options()).start
    assert start is not None
    assert np.flatnonzero((value == start.value).all(axis=(1, 2))).tolist() in ([0], [1], [3], [5])
    all_visible = replace(motion, visibility=np.zeros(6, np.uint8))
    start = AnimatedFace.prepare(reader, image, face, all_visible, Options()).start
    assert start is not None
    assert np.array_equal(start.value[0], own.value[0])


def test_hidden_keypoints_are_held_and_then_eased():
    value = np.zeros((50, 1, 2), np.float32)
    value[:10], value[40:] = 1, 3
    value[10:40] = 77  # means nothing
    seen = np.r_[[True] * 10, [False] * 30, [True] * 10]
    x = bridge_unseen(KeypointArray(value), seen, np.arange(50) / 20).value[:, 0, 0]
    assert (x[:20] == 1).all()  # the face holds still until a second before it is visible again
    assert np.diff(x[20:41]).min() > 0
    assert np.diff(x).max() < 2 * 1.6 / 20  # of a smooth curve over 20 frames
    assert (x[40:] == 3).all()


def test_keypoints_before_the_first_and_after_the_last_visible_frame_are_held():
    value = np.arange(10, dtype=np.float32).reshape(-1, 1, 1).repeat(2, 2)
    jacobian = np.eye(2, dtype=np.float32) * value[..., None]
    seen = np.zeros(10, bool)
    seen[[4, 5]] = True
    bridged = bridge_unseen(KeypointArray(value, jacobian), seen, np.arange(10) / 25)
    assert bridged.value[:, 0, 0].tolist() == [4, 4, 4, 4, 4, 5, 5, 5, 5, 5]
    assert bridged.jacobian is not None
    assert bridged.jacobian[:, 0, 0, 0].tolist() == [4, 4, 4, 4, 4, 5, 5, 5, 5, 5]


def test_the_kinds_of_frames_are_kept_in_a_motion_file(tmp_path):
    points = KeypointArray(np.zeros((3, 1, 2), np.float32))
    visibility = np.array([Visibility.VISIBLE, Visibility.NO_FACE, Visibility.OTHER_PERSON], np.uint8)
    motion = Motion(points, np.zeros((3, 4), np.float32), visibility, np.arange(3) / 25, Fraction(25), "x")
    motion.save(tmp_path / "a.motion")
    assert Motion.load(tmp_path / "a.motion").visibility.tolist() == [0, 1, 2]
