import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from faceanim.config import load_params
from faceanim.errors import FaceanimError
from faceanim.faces.cropping import ClipTarget, crop_video
from faceanim.faces.detection import ViolaJones
from faceanim.faces.landmark_detectors import DlibDetector, MediaPipeDetector, describe_detector
from faceanim.faces.landmark_sets import EYE_CORNERS, MOUTH_CORNERS
from faceanim.media.boxes import Box
from faceanim.media.mjpeg import stream_mjpeg
from tests.helpers.paths import PROFILES

PROFILE = PROFILES / "voxceleb.yaml"
BLANK = np.full((256, 256, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def dlib():
    return DlibDetector()


def gray(image):
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)


def check_portrait(detector, name):
    """Check the positions of the points on the portrait, and that a blank image has none."""
    info = describe_detector(name)
    image, blank = (gray(rgb) if detector.gray else rgb for rgb in (astronaut(), BLANK))
    face = detector.detect(image, None)
    assert face.points.shape == (info.points, 2)
    assert face.points.dtype == np.float32
    (a, b), (c, d) = (face.points[list(eye)] for eye in EYE_CORNERS[info.scheme])
    mouth = face.points[list(MOUTH_CORNERS[info.scheme])]
    assert a[0] < b[0] < c[0] < d[0]
    assert mouth[:, 1].min() > max(a[1], d[1]) + 20
    assert 40 < np.linalg.norm(d - a) < 110
    assert detector.detect(blank, None) is None
    return face


def test_dlib_finds_the_portrait_s_landmarks(dlib):
    face = check_portrait(dlib, "dlib")
    assert face.score > 0


def test_mediapipe_finds_the_portrait_s_landmarks(mediapipe):
    face = check_portrait(mediapipe, "mediapipe")
    known = mediapipe.detect(astronaut(), Box(0, 0, 10, 10))
    np.testing.assert_array_equal(known.points, face.points)


def test_dlib_needs_no_search_if_the_face_is_known(dlib):
    image = gray(astronaut())
    searched = dlib.detect(image, None)
    known = dlib.detect(image, ViolaJones().detect(image)[0])
    assert known.score is None
    assert known.box.iou(searched.box) > 0.7
    assert np.linalg.norm(known.points - searched.points, axis=1).mean() < 2


def test_dlib_finds_small_faces(dlib):
    small = cv2.resize(gray(astronaut()[:256, 100:356]), (128, 128), interpolation=cv2.INTER_AREA)
    assert dlib.detect(small, None).box.width < 80


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_dlib_s_points_are_in_pixels_of_the_image_at_any_scale(dlib, scale):
    image = gray(astronaut())
    box = ViolaJones().detect(image)[0]
    expected = dlib.detect(image, box).points
    resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # The center of the first pixel is 0 at both scales.
    points = (dlib.detect(resized, box.scale(scale)).points + 0.5) / scale - 0.5
    assert np.abs((points - expected).mean(axis=0)).max() < 0.3
    assert np.linalg.norm(points - expected, axis=1).mean() < 2


def test_dlib_accepts_a_box_that_ends_outside_the_image(dlib):
    image = gray(astronaut()[:180, 170:300])
    assert np.isfinite(dlib.detect(image, Box(-10.0, 60.0, 110.0, 190.0)).points).all()


def test_both_detectors_agree_on_a_real_crop_with_the_tracker_s_boxes(dlib, mediapipe, shared, tmp_path):
    video = shared / "faces/clips/nvidia_eyecontact/nvidia_eyecontact.mp4"
    config = load_params(PROFILE).crop.model_copy(update={"min_frames": 24})
    (row,) = crop_video(video, [ClipTarget("v", 0.0, 1.0, None, None)], config, tmp_path)
    file = (tmp_path / row["path"], row["frame_offsets"], row["frame_lengths"])
    faces = [Box(*face) for face in np.reshape(row["faces"], (-1, 4)).tolist()]
    corners = {}
    for name, detector in (("dlib", dlib), ("mediapipe", mediapipe)):
        images = stream_mjpeg(*file, luma=detector.gray)
        points = [detector.detect(image, face).points for image, face in zip(images, faces, strict=True)]
        scheme = describe_detector(name).scheme
        corners[name] = np.stack(points)[:, [*np.ravel(EYE_CORNERS[scheme]), *MOUTH_CORNERS[scheme]]]
    assert len(faces) == 30
    assert np.linalg.norm(corners["dlib"] - corners["mediapipe"], axis=2).mean() < 3


def test_another_model_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "face_landmarker.task").write_bytes(b"another")
    monkeypatch.setenv("FACEANIM_WEIGHTS", str(tmp_path))
    with pytest.raises(FaceanimError, match="differs from the published"):
        MediaPipeDetector()
