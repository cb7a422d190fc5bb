import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from faceanim.evaluation.face_metrics import (
    FOCAL_LENGTH,
    HEAD_MODEL,
    estimate_head_rotation,
    eye_aspect,
    measure_gaze,
    mouth_aspect,
    rotation_angle,
)

SIDE = 256


def seen(rotation: Rotation) -> np.ndarray:
    """Project the generic head with this rotation: (68, 2), of which the other points are zero."""
    focal = FOCAL_LENGTH * SIDE
    camera = np.array([[focal, 0, SIDE / 2], [0, focal, SIDE / 2], [0, 0, 1]])
    head = np.array(list(HEAD_MODEL.values()))
    places, _ = cv2.projectPoints(head, rotation.as_rotvec(), np.array([1.0, 2.0, 60.0]), camera, None)
    points = np.zeros((68, 2), np.float32)
    points[list(HEAD_MODEL)] = places[:, 0]
    return points


@pytest.mark.parametrize("angles", [(20, 0, 0), (0, -15, 0), (0, 0, 30), (10, 25, -5)])
def test_pose_is_recovered(angles):
    start, end = (
        Rotation.from_euler("yxz", (5, -3, 2), degrees=True),
        Rotation.from_euler("yxz", angles, degrees=True),
    )
    found = rotation_angle(estimate_head_rotation(seen(start), SIDE), estimate_head_rotation(seen(end), SIDE))
    assert found == pytest.approx(np.degrees((end * start.inv()).magnitude()), abs=0.05)


def test_no_angle_from_a_pose_to_itself():
    pose = estimate_head_rotation(seen(Rotation.identity()), SIDE)
    assert rotation_angle(pose, pose) == pytest.approx(0, abs=1e-5)


def test_eyes_by_hand():
    points = np.zeros((68, 2), np.float32)
    points[36:42] = [(0, 0), (10, -3), (20, -3), (30, 0), (20, 3), (10, 3)]  # 6 high, 30 wide
    points[42:48] = [(60, 0), (70, -6), (80, -6), (90, 0), (80, 6), (70, 6)]  # 12 high
    assert eye_aspect(points) == pytest.approx((6 / 30 + 12 / 30) / 2)


def test_mouth_by_hand():
    points = np.zeros((68, 2), np.float32)
    points[60:68] = [(0, 0), (10, -2), (20, -5), (30, -2), (40, 0), (30, 2), (20, 5), (10, 2)]
    assert mouth_aspect(points) == pytest.approx((4 + 10 + 4) / 3 / 40)
    assert mouth_aspect(3 * points + 7) == pytest.approx((4 + 10 + 4) / 3 / 40)


def test_gaze_by_hand_and_at_another_position_size_and_roll():
    points = np.zeros((478, 2), np.float32)
    points[[33, 133]], points[468] = [(0, 0), (30, 0)], (18, 3)  # 3 right of the middle, 3 below
    points[[362, 263]], points[473] = [(60, 0), (90, 0)], (75, 0)  # straight
    wanted = [(0.1, 0.1), (0, 0)]
    assert measure_gaze(points) == pytest.approx(np.array(wanted), abs=1e-6)
    turned = Rotation.from_euler("z", 25, degrees=True).as_matrix()[:2, :2]
    moved = (2 * points @ turned.T + (5, 9)).astype(np.float32)
    assert measure_gaze(moved) == pytest.approx(np.array(wanted), abs=1e-5)
