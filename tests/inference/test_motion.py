from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from safetensors.numpy import save_file

from faceanim.errors import FaceanimError
from faceanim.inference.keypoints import KeypointArray
from faceanim.inference.motion import MOTION_FORMAT, Motion, find_nearest_pose


def some(count: int = 5, fps: Fraction = Fraction(25), times: np.ndarray | None = None) -> Motion:
    value = np.random.default_rng(0).uniform(-1, 1, (count, 10, 2)).astype(np.float32)
    faces = np.tile(np.array([0.2, 0.2, 0.7, 0.7], np.float32), (count, 1))
    times = np.arange(count) / float(fps) if times is None else times
    return Motion(KeypointArray(value), faces, np.zeros(count, np.uint8), times, fps, "a detector")


def test_a_file_holds_all_of_it_and_is_small(tmp_path):
    motion = some(250, Fraction(30000, 1001))
    motion.save(tmp_path / "a.motion")
    read = Motion.load(tmp_path / "a.motion")
    assert np.array_equal(read.points.value, motion.points.value)
    assert read.points.jacobian is None
    assert np.array_equal(read.faces, motion.faces)
    assert np.array_equal(read.times, motion.times)
    assert (read.fps, read.detector_id) == (motion.fps, motion.detector_id)
    assert (tmp_path / "a.motion").stat().st_size < 150 * 250
    for _ in range(8):  # an order that varies may be the same by chance
        motion.save(tmp_path / "b.motion")
        assert (tmp_path / "a.motion").read_bytes() == (tmp_path / "b.motion").read_bytes()


def test_jacobians_are_kept(tmp_path):
    motion = some(3)
    jacobian = np.random.default_rng(1).normal(size=(3, 10, 2, 2)).astype(np.float32)
    replace(motion, points=KeypointArray(motion.points.value, jacobian)).save(tmp_path / "a.motion")
    assert np.array_equal(Motion.load(tmp_path / "a.motion").points.jacobian, jacobian)


def test_invalid_files(tmp_path):
    some().save(tmp_path / "good.motion")
    whole = (tmp_path / "good.motion").read_bytes()
    (tmp_path / "cut.motion").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.motion").write_text("not a motion")
    (tmp_path / "empty.motion").write_bytes(b"")
    save_file({"weights": np.zeros(3)}, tmp_path / "weights.motion")
    replace(some(), faces=some(2).faces).save(tmp_path / "uneven.motion")
    replace(some(), visibility=np.ones(5, np.uint8)).save(tmp_path / "unseen.motion")
    bad = some()
    bad.points.value[0] = np.nan
    bad.save(tmp_path / "nan.motion")
    tensors: dict[str, np.ndarray] = {
        "value": bad.points.value,
        "faces": bad.faces,
        "times": bad.times,
        "fps": np.array(25.0),
    }
    save_file(tensors, tmp_path / "rate.motion", {MOTION_FORMAT: "x"})
    for name in ("cut", "text", "empty", "weights", "uneven", "unseen", "nan", "rate", "missing"):
        with pytest.raises(FaceanimError, match=rf"{name}\.motion") as error:
            Motion.load(tmp_path / f"{name}.motion")
        assert "\n" not in str(error.value)


def test_back_and_forth_has_no_jump_and_no_frame_twice():
    motion = some(5).ping_pong(2)
    order = [
        int(np.flatnonzero((some(5).points.value == value).all(axis=(1, 2)))[0])
        for value in motion.points.value
    ]
    assert order == [0, 1, 2, 3, 4, 3, 2, 1] * 2
    assert np.allclose(np.diff(motion.times), 1 / 25)
    assert len(motion.faces) == len(motion.times) == 16
    assert not motion.is_variable
    uneven = some(3, times=np.array([0, 0.1, 0.12])).ping_pong(1)
    assert np.allclose(uneven.times, [0, 0.1, 0.12, 0.14])


def test_a_variable_rate_is_noticed():
    assert not some(5).is_variable
    assert not some(4, times=np.array([0, 0.041, 0.079, 0.12])).is_variable  # rounded to milliseconds
    assert some(4, times=np.array([0, 0.04, 0.14, 0.18])).is_variable


def test_the_nearest_pose_is_found_at_any_position_and_size_of_the_face():
    random = np.random.default_rng(0)
    poses = random.uniform(-0.5, 0.5, (6, 10, 2)).astype(np.float32)
    portrait = KeypointArray(poses[4:5] * 1.7 + np.array([0.3, -0.2], np.float32))
    assert find_nearest_pose(KeypointArray(poses), portrait) == 4
