"""Landmarks on the way from the driving video and the portrait to the networks."""

import sys
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

import faceanim
from faceanim.errors import FaceanimError, MissingPackageError
from faceanim.faces.detection import ViolaJones
from faceanim.faces.landmark_detectors import DlibDetector
from faceanim.faces.landmark_reader import LandmarkReader, read_side
from faceanim.faces.landmark_sets import edges_to_centers, normalize_landmarks
from faceanim.inference import api
from faceanim.inference.keypoints import KeypointArray
from faceanim.inference.motion import Motion, bridge_unseen, find_nearest_pose, smooth_keypoints
from faceanim.inference.point_reader import open_points
from faceanim.inference.torch_backend import TorchNetwork
from faceanim.media.boxes import Box
from faceanim.media.images import read_image
from tests.helpers.tiny import save_models

NAN = np.float32("nan")


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> TorchNetwork:
    """Untrained networks that landmarks move."""
    return TorchNetwork.load(save_models(tmp_path_factory.mktemp("models"), landmarks="dlib"), "cpu")


@pytest.fixture
def without_dlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)


def square(side: int) -> tuple[np.ndarray, Box]:
    """Return a square around a real face, and the box of the face in it."""
    image = cv2.resize(astronaut()[:256, 90:346], (side, side), interpolation=cv2.INTER_AREA)
    return image, ViolaJones().detect(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0]


def test_landmarks_are_in_units_of_the_models_frames():
    corners = np.array([[0, 0], [255, 255], [127.5, 127.5]], np.float32)
    assert np.allclose(normalize_landmarks(corners, 256, 256), [[-1, -1], [1, 1], [0, 0]])
    # The first pixel of 64 is the mean of the first four of 256.
    assert np.allclose(normalize_landmarks(np.array([1.5, 253.5]), 256, 64), [-1, 1])
    edges = ((2 * corners + 1) / 256 - 1).astype(np.float32)
    assert np.allclose(edges_to_centers(edges, 64), normalize_landmarks(corners, 256, 64), atol=1e-6)


def test_the_reader_reads_what_the_detector_finds_in_the_box():
    crop, box = square(256)
    found = DlibDetector().detect(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), box)
    assert found is not None
    with closing(LandmarkReader("dlib", 64)) as reader:
        points = reader.read(np.stack([crop, crop, crop]), [box, None, Box(300, 0, 400, 100)])
        searched = reader.search(np.stack([crop, np.zeros_like(crop)]))
        large, large_box = square(512)
        again = reader.read(large[None], [large_box])
    assert points.shape == (3, 68, 2)
    assert points.dtype == np.float32
    assert np.allclose(points[0], 2 * ((found.points + 0.5) / 4 - 0.5) / 63 - 1, atol=1e-6)
    assert np.isnan(points[1:]).all()  # a crop without a face, and one whose face has left it
    assert np.allclose(searched[0], points[0])
    assert np.isnan(searched[1]).all()
    assert np.abs(again - points[0]).max() < 0.05


def test_crops_are_large_enough_for_the_detector_and_multiples_of_the_frames():
    assert [read_side(size) for size in (64, 96, 128, 256, 512)] == [256, 288, 256, 256, 512]


def test_a_face_is_animated_by_its_landmarks(portrait, driving, network, tmp_path):
    motion = faceanim.save_motion(driving, tmp_path / "a.motion", model=network)
    landmarks = motion.points.landmarks
    assert landmarks is not None
    assert landmarks.shape == (len(motion.times), 68, 2)
    assert np.isfinite(landmarks).all()  # the hidden frame is bridged
    assert network.detector_id.endswith(", dlib")
    loaded = Motion.load(tmp_path / "a.motion")
    assert np.array_equal(loaded.points.landmarks, landmarks)
    # The face moves to the left in a square that stays: by 3 pixels of it in each frame.
    assert np.diff(landmarks[..., 0].mean(axis=1)).mean() < -0.005

    result = faceanim.animate(portrait, driving, tmp_path / "video", model=network)
    by_file = faceanim.animate(portrait, tmp_path / "a.motion", tmp_path / "file", model=network)
    assert result.warnings == ("1 of 21 driving frames show no face; the motion is bridged there",)
    assert by_file.warnings == result.warnings
    without = replace(loaded, points=replace(loaded.points, landmarks=np.full_like(landmarks, NAN)))
    without.save(tmp_path / "b.motion")
    alone = faceanim.animate(portrait, tmp_path / "b.motion", tmp_path / "alone", model=network)
    assert "no landmarks found in the driving video; keypoints alone move the face" in alone.warnings
    assert api.describe_motion(loaded) == list(result.warnings)
    assert set(api.describe_motion(without)) == set(alone.warnings)
    video, file, keypoints = (
        np.stack([read_image(path) for path in sorted((tmp_path / name).iterdir())]).astype(int)
        for name in ("video", "file", "alone")
    )
    assert np.array_equal(video, file)
    assert np.abs(video - keypoints).mean() > 0.5


def test_a_motion_file_fits_models_with_the_same_detectors(driving, portrait, network, tmp_path):
    other = TorchNetwork.load(save_models(tmp_path / "models", landmarks="mediapipe"), "cpu")
    faceanim.save_motion(driving, tmp_path / "a.motion", model=network)
    with pytest.raises(FaceanimError, match="read with another model"):
        faceanim.animate(portrait, tmp_path / "a.motion", tmp_path / "out", model=other)


@pytest.mark.usefixtures("without_dlib")
def test_without_the_detector_keypoints_move_alone_and_a_line_says_so(portrait, driving, network, tmp_path):
    result = faceanim.animate(portrait, driving, tmp_path / "out", model=network)
    assert result.warnings[0] == (
        "cannot read facial landmarks: dlib is not installed; run pip install 'faceanim[pipeline]'; "
        "without landmarks, keypoints alone move the face"
    )
    assert len(result.warnings) == 2
    with pytest.raises(MissingPackageError, match="dlib is not installed; run pip install"):
        faceanim.save_motion(driving, tmp_path / "a.motion", model=network)


def test_crops_are_shrunk_by_area_for_the_network(network):
    crop, box = square(256)
    small = cv2.resize(crop, (64, 64), interpolation=cv2.INTER_AREA)
    with open_points(network) as reader:
        assert reader.side == 256
        points, portrait = reader.read(crop[None], [box]), reader.read_portrait(crop, box)
        reader.check(points, "nowhere")
        assert reader.warnings == []
        reader.check(network.detect(small[None]), "a blank frame")
        assert reader.warnings == ["no landmarks found in a blank frame; keypoints alone move the face"]
    assert np.array_equal(points.value, network.detect(small[None]).value)
    assert np.array_equal(portrait.keypoints.landmarks, points.landmarks)


def track(count: int, missing: tuple[int, ...] = ()) -> KeypointArray:
    """Return points of a face that moves to the right, with landmarks except in some frames."""
    x = np.linspace(0, 0.5, count, dtype=np.float32)[:, None, None]
    value = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 4, 2)).astype(np.float32) + x
    landmarks = np.random.default_rng(1).uniform(-0.5, 0.5, (1, 68, 2)).astype(np.float32) + x
    landmarks[list(missing)] = NAN
    return KeypointArray(value, None, landmarks)


def test_missing_landmarks_are_bridged_like_hidden_faces():
    whole, gap = track(9), track(9, (3, 4))
    times = np.arange(9) / 25
    seen = np.arange(9) != 7
    bridged = bridge_unseen(gap, seen, times)
    assert bridged.with_landmarks.all()
    assert np.array_equal(bridged.value[3:5], whole.value[3:5])  # the face was seen there
    assert np.allclose(bridged.landmarks[2], whole.landmarks[2])
    x = bridged.landmarks[..., 0].mean(axis=1)
    assert x[2] < x[3] < x[4] < x[5]
    assert np.isnan(bridge_unseen(track(9, tuple(range(9))), seen, times).landmarks).all()


def test_smoothing_leaves_frames_without_landmarks_out():
    times = np.arange(9) / 25
    smoothed = smooth_keypoints(track(9, (4,)), times)
    assert smoothed.with_landmarks.tolist() == [True] * 4 + [False] + [True] * 4
    assert np.allclose(smoothed.value, smooth_keypoints(KeypointArray(track(9).value), times).value)
    noise = np.random.default_rng(0).normal(0, 0.01, (30, 68, 2)).astype(np.float32)
    shaking = KeypointArray(np.zeros((30, 4, 2), np.float32), None, noise)
    still = smooth_keypoints(shaking, np.arange(30) / 25).landmarks
    assert np.abs(np.diff(still, axis=0)).mean() < np.abs(np.diff(noise, axis=0)).mean() / 3


def test_the_nearest_pose_is_found_by_landmarks():
    random = np.random.default_rng(0)
    landmarks = random.uniform(-0.5, 0.5, (6, 68, 2)).astype(np.float32)
    value = random.uniform(-0.5, 0.5, (6, 4, 2)).astype(np.float32)
    portrait = KeypointArray(value[1:2], None, 1.5 * landmarks[4:5] + np.float32(0.2))
    assert find_nearest_pose(KeypointArray(value, None, landmarks), portrait) == 4
    landmarks[4] = NAN
    assert find_nearest_pose(KeypointArray(value, None, landmarks), portrait) != 4
    nowhere = replace(portrait, landmarks=np.full((1, 68, 2), NAN))
    assert find_nearest_pose(KeypointArray(value, None, landmarks), nowhere) == 1


def test_landmarks_move_with_the_driving_face_and_are_kept_by_runs():
    points = track(5, (4,))
    moved = points[:1].move_relative(points[1:2], points)
    assert np.allclose(moved.landmarks[3], points.landmarks[0] + points.landmarks[3] - points.landmarks[1])
    assert moved.with_landmarks.tolist() == [True] * 4 + [False]
    joined = KeypointArray.concatenate([points[:2], points[2:]])
    assert np.array_equal(joined.landmarks, points.landmarks, equal_nan=True)
