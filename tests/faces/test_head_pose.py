import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from faceanim.faces.head_pose import RIGIDITY, HeadPose, fit_head_pose
from faceanim.faces.landmark_sets import IBUG68, MIRRORED_IBUG68
from faceanim.faces.mean_face import MEAN_FACE
from faceanim.synthetic.head import load_head, rotation
from tests.helpers.landmark_faces import make_shape, show_landmarks

DEPTH = MEAN_FACE[:, 2]
TO_IMAGE = np.diag((1, -1, -1))
"""From the axes of the head model, y up and z to the camera, to those of the image."""


def angle(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(a @ b.T).magnitude()))


def pose(*degrees: float) -> HeadPose:
    turned = Rotation.from_euler("yxz", degrees, degrees=True).as_matrix()
    return HeadPose(turned[None], np.array([0.4]), np.array([[0.1, -0.2]]))


def test_the_mean_face_is_that_of_the_head_model():
    model = load_head()
    points = model.landmarks(model.mean)[list(IBUG68)] @ TO_IMAGE
    eyes = points[36:42].mean(axis=0) - points[42:48].mean(axis=0)
    assert np.allclose(points / np.linalg.norm(eyes), MEAN_FACE, atol=0.003)


def test_the_mean_face_is_symmetric_and_upright():
    assert np.allclose(MEAN_FACE[list(MIRRORED_IBUG68)] * (-1, 1, 1), MEAN_FACE, atol=0.0011)
    assert np.allclose(RIGIDITY[list(MIRRORED_IBUG68)], RIGIDITY)
    chin, brow, ear, nose = MEAN_FACE[[8, 19, 0, 30]]
    assert chin[1] > nose[1] > brow[1]  # y points down
    assert nose[2] < ear[2]  # z points away from the camera


@pytest.mark.parametrize("degrees", [(0, 0, 0), (30, 0, 0), (0, -20, 0), (-15, 10, 25), (60, 0, 0)])
def test_what_is_unfolded_is_projected_to_where_it_was(degrees):
    points = np.random.default_rng(0).uniform(-1, 1, (1, 68, 2))
    unfolded = pose(*degrees).unfold(points, DEPTH)
    assert np.allclose(pose(*degrees).project(unfolded, DEPTH), points, atol=1e-9)


def test_the_mean_face_has_the_pose_that_shows_it():
    for degrees in ((0, 0, 0), (25, 0, 0), (0, -20, 0), (-15, 10, 25)):
        shown = pose(*degrees)
        found = fit_head_pose(shown.project(MEAN_FACE[None, :, :2], DEPTH))
        # The ridge takes a sixth of the turn away, which perspective gives back.
        assert angle(found.rotation[0], shown.rotation[0]) < 5
        assert found.scale == pytest.approx(shown.scale, rel=0.05)
        assert np.allclose(found.translation, shown.translation, atol=0.03)
        assert np.allclose(found.rotation[0] @ found.rotation[0].T, np.eye(3))
        assert np.linalg.det(found.rotation[0]) == pytest.approx(1)


@pytest.mark.parametrize("turn", [(20, 0, 0), (0, 12, 0), (0, 0, 25), (-30, -8, 5)])
def test_heads_turn_by_the_true_angle_whoever_they_are(turn):
    errors = []
    for seed in range(6):
        shape = make_shape(seed)
        still, turned = fit_head_pose(np.stack((show_landmarks(shape), show_landmarks(shape, turn)))).rotation
        truth = TO_IMAGE @ rotation(*np.radians(turn)) @ TO_IMAGE
        errors.append(angle(turned @ still.T, truth))
    assert np.mean(errors) < 0.12 * np.linalg.norm(turn)


@pytest.mark.parametrize("action", ["jawOpen", "browInnerUp", "mouthSmileLeft", "eyeBlinkLeft"])
def test_expressions_hardly_turn_the_head(action):
    shape = make_shape(0)
    calm, moved = fit_head_pose(
        np.stack((show_landmarks(shape), show_landmarks(shape, (0, 0, 0), **{action: 0.8})))
    ).rotation
    assert angle(moved, calm) < 2


def test_noise_hardly_turns_the_head():
    points = show_landmarks(make_shape(0), (15, 5, 0))
    noise = np.random.default_rng(0).normal(0, 0.25 * 2 / 63, (100, 68, 2))  # a quarter of a pixel of 64
    rotations = fit_head_pose(points + noise).rotation
    calm = fit_head_pose(points[None]).rotation[0]
    assert np.mean([angle(turned, calm) for turned in rotations]) < 1.0
