import shutil

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from faceanim.data.weights import WEIGHTS
from faceanim.errors import FaceanimError
from faceanim.faces.detectors import DlibDetector, MediaPipeDetector
from faceanim.faces.landmarks import EYES, MOUTH

BLANK = np.full((256, 256, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def dlib():
    return DlibDetector()


@pytest.fixture
def mediapipe(shared, tmp_path, monkeypatch):
    model = shared / "models" / WEIGHTS["mediapipe_face_landmarker"].file_name
    if not model.is_file():
        pytest.skip("the MediaPipe weights are not in ../shared/models")
    shutil.copy(model, tmp_path)
    monkeypatch.setenv("FACEANIM_WEIGHTS", str(tmp_path))
    made = MediaPipeDetector()
    yield made
    made._landmarker.close()  # left to the interpreter's end, it closes noisily


def check_portrait(detector):
    image = astronaut()
    face = detector.detect(image, None)
    assert face.points.shape == (detector.info.points, 2)
    (a, b), (c, d) = (face.points[list(eye)] for eye in EYES[detector.info.scheme])
    mouth = face.points[list(MOUTH[detector.info.scheme])]
    assert a[0] < b[0] < c[0] < d[0]
    assert mouth[:, 1].min() > max(a[1], d[1]) + 20
    assert 40 < np.linalg.norm(d - a) < 110
    again = detector.detect(image, face.box)
    assert np.abs(again.points - face.points).max() < 4
    assert detector.detect(BLANK, None) is None
    assert detector.detect(BLANK, face.box) is None


def test_dlib_finds_the_portrait_s_landmarks(dlib):
    check_portrait(dlib)


def test_mediapipe_finds_them_too(mediapipe):
    check_portrait(mediapipe)


def test_dlib_finds_a_face_that_has_left_its_box(dlib):
    image = cv2.copyMakeBorder(astronaut()[:256, 100:356], 0, 0, 0, 256, cv2.BORDER_REPLICATE)
    there = dlib.detect(image, None)
    again = dlib.detect(np.ascontiguousarray(image[:, ::-1]), there.box)
    assert again.box.x0 > 256


def test_another_model_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "face_landmarker.task").write_bytes(b"another")
    monkeypatch.setenv("FACEANIM_WEIGHTS", str(tmp_path))
    with pytest.raises(FaceanimError, match="is not the published weights"):
        MediaPipeDetector()
