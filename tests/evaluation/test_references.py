"""Face metrics and flicker on 20 real frames, against a library or a second derivation."""

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.spatial import distance
from scipy.spatial.transform import Rotation

from faceanim.config import load_params
from faceanim.evaluation.face_metrics import (
    FACE_SIDE,
    FOCAL_LENGTH,
    HEAD_MODEL,
    FaceReader,
    compute_face_metrics,
)
from faceanim.evaluation.scorer import Flicker
from faceanim.faces.cropping import ClipTarget, crop_video
from faceanim.faces.landmark_sets import EYE_CORNERS
from faceanim.media.mjpeg import read_mjpeg
from faceanim.media.tensors import to_float
from tests.helpers.paths import PROFILES

pytestmark = pytest.mark.slow

PROFILE = PROFILES / "voxceleb.yaml"
COUNT = 20
LATER = 25
"""Offset from a driving frame to the frame taken as its prediction, which has another pose and expression."""


@pytest.fixture(scope="module")
def frames(shared, tmp_path_factory):
    """Predicted and driving frames of a person who turns and talks: (COUNT, 256, 256, 3) each."""
    video, folder = (
        shared / "faces/clips/nvidia_eyecontact/nvidia_eyecontact.mp4",
        tmp_path_factory.mktemp("crops"),
    )
    row, *_ = crop_video(video, [ClipTarget("v", 0.0, 3.0, None, None)], load_params(PROFILE).crop, folder)
    crops = read_mjpeg(folder / row["path"], row["frame_offsets"], row["frame_lengths"])
    return crops[LATER : LATER + COUNT], crops[:COUNT]


@pytest.fixture(scope="module")
def faces(frames):
    """Readings of the predicted and the driving faces, and the metrics of each pair."""
    reader = FaceReader(None)
    made, driving = ([reader.read(frame, identity=True) for frame in side] for side in frames)
    found = [
        compute_face_metrics(*pair, pair[1].embedding, same_face=True)
        for pair in zip(made, driving, strict=True)
    ]
    assert len(found) == COUNT
    return made, driving, {name: [row[name] for row in found] for name in found[0]}


def check(found, reference, *sides):
    """Check that a metric equals the reference for each pair of frames, and is not constant."""
    wanted = [reference(*pair) for pair in zip(*sides, strict=True)]
    assert found == pytest.approx(wanted, abs=1e-4)
    assert min(found) != max(found)


def test_landmarks_by_scipy(faces):
    made, driving, found = faces
    check(found["akd"], lambda a, b: distance.cdist(a.points, b.points).diagonal().mean(), made, driving)
    assert max(found["akd"]) > 1
    assert found["missed"] == [0] * COUNT


def test_identity_by_scipy(faces):
    made, driving, found = faces
    check(found["aed"], lambda a, b: distance.euclidean(a.embedding, b.embedding), made, driving)
    check(found["csim"], lambda a, b: 1 - distance.cosine(a.embedding, b.embedding), made, driving)


def opening(points, corners, pairs):
    """Compute the mean distance of pairs of points, divided by that of the corners."""
    distances = distance.cdist(points, points)
    return np.mean([distances[pair] for pair in pairs]) / distances[corners]


def eyes(points):
    left = opening(points, (36, 39), [(37, 41), (38, 40)])
    return (left + opening(points, (42, 45), [(43, 47), (44, 46)])) / 2


def mouth(points):
    return opening(points, (60, 64), [(61, 67), (62, 66), (63, 65)])


@pytest.mark.parametrize("part", [eyes, mouth])
def test_openings_by_scipy(faces, part):
    made, driving, found = faces
    check(found[part.__name__], lambda a, b: abs(part(a.points) - part(b.points)), made, driving)


def head_turn(points):
    """Estimate the rotation of the generic head by a general least-squares solver."""
    head = np.array(list(HEAD_MODEL.values()))
    rays = (points[list(HEAD_MODEL)].astype(float) - FACE_SIDE / 2) / (FOCAL_LENGTH * FACE_SIDE)

    def misses(pose):
        seen = Rotation.from_rotvec(pose[:3]).apply(head) + pose[3:]
        return (seen[:, :2] / seen[:, 2:] - rays).ravel()

    start = [0, 0, 0, 0, 0, 60]
    return Rotation.from_rotvec(least_squares(misses, start, xtol=1e-14, ftol=1e-14, gtol=1e-14).x[:3])


def test_pose_by_another_solver(faces):
    made, driving, found = faces

    def angle(a, b):
        return np.degrees((head_turn(a.points) * head_turn(b.points).inv()).magnitude())

    check(found["pose"], angle, made, driving)
    assert max(found["pose"]) > 1


def gaze(points):
    """Compute the gaze of each eye as a complex number, independent of the position, size and roll."""
    plane = points[:, 0].astype(complex) + 1j * points[:, 1]
    corners = [plane[list(eye)] for eye in EYE_CORNERS["mediapipe478"]]
    irises = plane[[468, 473]]
    return np.array(
        [(iris - eye.mean()) / (eye[1] - eye[0]) for iris, eye in zip(irises, corners, strict=True)]
    )


def test_gaze_by_complex_numbers(frames, mediapipe):
    reader = FaceReader(mediapipe)
    made, driving = ([reader.read(frame, identity=False) for frame in side] for side in frames)
    found = [
        compute_face_metrics(a, b, None, same_face=True)["gaze"] for a, b in zip(made, driving, strict=True)
    ]

    def shift(a, b):
        one, other = (gaze(mediapipe.detect(frame, None).points) for frame in (a, b))
        return abs(one - other).mean()

    check(found, shift, *frames)


def test_flicker_by_numpy(frames):
    found = Flicker().add(*(to_float(side) for side in frames))[2:]
    made, driving = (abs(np.diff(side / 255, n=2, axis=0)).mean(axis=(1, 2, 3)) for side in frames)
    assert found == pytest.approx(made - driving, abs=1e-6)
    assert abs(found).max() > 1e-3
