import dlib
import numpy as np
import pytest
from skimage.data import astronaut

from faceanim.evaluation.face_metrics import (
    FACE_SIDE,
    FaceReader,
    FaceReading,
    compute_face_metrics,
    find_identity_weights,
)

FACE = astronaut()[10:210, 130:330]


@pytest.fixture(scope="module")
def reader():
    return FaceReader(None)


@pytest.fixture(scope="module")
def face(reader):
    return reader.read(FACE, identity=True)


def reading(points=None, embedding=None, gaze=None):
    return FaceReading(points, embedding, gaze)


def test_a_face_is_read(face):
    assert face.points.shape == (68, 2)
    assert 0 < face.points.min() < face.points.max() < FACE_SIDE
    assert face.gaze is None
    # The alignment of dlib's examples, by five points; dlib takes faces within 0.6 for the same person.
    frontal = dlib.get_frontal_face_detector()
    five = dlib.shape_predictor(
        str(find_identity_weights().with_name("shape_predictor_5_face_landmarks.dat"))
    )
    network = dlib.face_recognition_model_v1(str(find_identity_weights()))
    picture = np.ascontiguousarray(FACE)
    wanted = np.array(network.compute_face_descriptor(picture, five(picture, frontal(picture, 1)[0])))
    assert np.linalg.norm(face.embedding - wanted) < 0.2


def test_identity_is_read_only_on_request(reader):
    assert reader.read(FACE, identity=False).embedding is None


def test_no_face(reader):
    face = reader.read(np.full((64, 64, 3), 127, np.uint8), identity=True)
    assert face == reading()


def test_a_face_against_itself_is_perfect(face):
    found = compute_face_metrics(face, face, face.embedding, same_face=True)
    wanted = {"akd": 0, "missed": 0, "pose": 0, "eyes": 0, "mouth": 0, "aed": 0, "csim": 1}
    assert found == pytest.approx(wanted, abs=1e-5)


def test_distances_by_hand():
    rng = np.random.default_rng(0)
    points = rng.uniform(50, 200, (68, 2)).astype(np.float32)
    made = reading(points + np.array([3, 4], np.float32), np.array([3.0, 4.0]), np.array([[0.1, 0], [0, 0]]))
    driving = reading(points, None, np.array([[0, 0], [0, 0.3]]))
    found = compute_face_metrics(made, driving, np.array([4.0, 3.0]), same_face=True)
    assert found["akd"] == pytest.approx(5)
    assert found["aed"] == pytest.approx(np.sqrt(2))
    assert found["csim"] == pytest.approx(24 / 25)
    assert found["gaze"] == pytest.approx((0.1 + 0.3) / 2)
    assert "akd" not in compute_face_metrics(made, driving, None, same_face=False)


def test_metrics_without_a_measurement_are_left_out(face):
    assert compute_face_metrics(reading(), face, face.embedding, same_face=True) == {"missed": 1.0}
    # Without a face in the driving frame, no face is missed.
    assert compute_face_metrics(face, reading(), None, same_face=True) == {}
