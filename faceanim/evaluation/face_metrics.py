"""Face metrics: landmarks, identity, head pose, opening of eyes and mouth, and gaze, compared between frames.

Landmarks and identity come from dlib (its 68 points and the embeddings of its face-recognition ResNet-29),
the irises from MediaPipe. Predicted and driving frames alike are first resized to 256 pixels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.faces.landmark_detectors import (
    DlibDetector,
    LandmarkDetector,
    Landmarks,
    find_dlib_weights,
)
from faceanim.faces.landmark_sets import EYE_CORNERS, Points
from faceanim.media.frames import Frames, resize_square

FACE_SIDE = 256
"""Side to which frames are resized before faces are read, in pixels; AKD is in pixels at this size."""
IDENTITY_WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"
IDENTITY_METRICS = ("aed", "csim")
FACE_METRICS = ("akd", "missed", *IDENTITY_METRICS, "pose", "eyes", "mouth", "gaze")

HEAD_MODEL = {
    17: (-6.83, -6.76, -4.40),
    21: (-1.33, -7.12, -6.90),
    22: (1.33, -7.12, -6.90),
    26: (6.83, -6.76, -4.40),
    31: (-2.01, -1.41, -6.17),
    35: (2.01, -1.41, -6.17),
    36: (-5.31, -5.49, -3.99),
    39: (-1.79, -5.39, -4.41),
    42: (1.79, -5.39, -4.41),
    45: (5.31, -5.49, -3.99),
}
"""Positions of some of the 68 points on a generic head, in centimeters; x points right, y down, z away.

They are the ends of the eyebrows, the wings of the nose and the corners of the eyes, which a talking mouth
does not move.
"""
FOCAL_LENGTH = 2.0
"""Focal length assumed for a crop's camera, in crop sides: a face spans about 25 degrees of its view."""
POSE_CRITERIA = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 1000, 1e-15)
"""Stopping criteria of the pose refinement, which ends about 1e-5 degrees from the best pose."""
IRIS_CENTERS = (468, 473)
"""Indices of the iris centers among MediaPipe's points: image left, then image right."""

Embedding = NDArray[np.float64]
"""Embedding of a face, (128,); those of the same person lie within about 0.6 of each other."""


@dataclass(frozen=True)
class FaceReading:
    """Measurements of the face in a frame; None where the face was not found or the value not requested.

    Attributes:
        points: (68, 2), in pixels at FACE_SIDE.
        embedding: (128,).
        gaze: (2, 2), see `measure_gaze`.
    """

    points: Points | None
    embedding: Embedding | None
    gaze: NDArray[np.float64] | None


class FaceReader:
    """Reader of the face in a frame; each frame is read independently.

    Args:
        irises: detector of the irises; None: the gaze is not measured.
    """

    def __init__(self, irises: LandmarkDetector | None) -> None:
        import dlib

        self._dlib = dlib
        self._landmarks = DlibDetector()
        self._identity: Any = dlib.face_recognition_model_v1(str(find_identity_weights()))
        self._irises = irises

    def read(self, frame: Frames, identity: bool) -> FaceReading:
        """Read the face in a square frame.

        Args:
            frame: (S, S, 3), RGB in [0, 255].
            identity: whether to compute the embedding, which costs more than everything else.
        """
        large = resize_square(frame, FACE_SIDE)
        face = self._landmarks.detect(cv2.cvtColor(large, cv2.COLOR_RGB2GRAY), None)
        mesh = self._irises.detect(large, None) if self._irises else None
        return FaceReading(
            None if face is None else face.points,
            self._embedding(large, face) if identity and face else None,
            None if mesh is None else measure_gaze(mesh.points),
        )

    def _embedding(self, frame: Frames, face: Landmarks) -> Embedding:
        corners = (face.box.x0, face.box.y0, face.box.x1, face.box.y1)
        box = self._dlib.rectangle(*(round(corner) for corner in corners))
        parts = [self._dlib.point(round(x), round(y)) for x, y in face.points.tolist()]
        shape = self._dlib.full_object_detection(box, parts)
        return np.asarray(self._identity.compute_face_descriptor(frame, shape), dtype=np.float64)


def find_identity_weights() -> Path:
    """Return the weights file of dlib's face-recognition network; see `find_dlib_weights`."""
    return find_dlib_weights().with_name(IDENTITY_WEIGHTS)


def compute_face_metrics(
    predicted: FaceReading, driving: FaceReading, identity: Embedding | None, same_face: bool
) -> dict[str, float]:
    """Compute the metrics of a predicted face, leaving out those for which a measurement is missing.

    Args:
        predicted: measurements in the predicted frame.
        driving: measurements in the driving frame.
        identity: embedding of the person that the prediction should show.
        same_face: whether that is the driving person, so that the landmarks should match the driving ones.
    """
    metrics: dict[str, float] = {}
    if driving.points is not None:
        metrics["missed"] = float(predicted.points is None)
        if predicted.points is not None:
            metrics |= _motion_errors(predicted.points, driving.points)
            if same_face:
                metrics["akd"] = float(np.linalg.norm(predicted.points - driving.points, axis=1).mean())
    if predicted.embedding is not None and identity is not None:
        metrics["aed"] = float(np.linalg.norm(predicted.embedding - identity))
        norms = np.linalg.norm(predicted.embedding) * np.linalg.norm(identity)
        metrics["csim"] = float(predicted.embedding @ identity / norms)
    if predicted.gaze is not None and driving.gaze is not None:
        metrics["gaze"] = float(np.linalg.norm(predicted.gaze - driving.gaze, axis=1).mean())
    return metrics


def _motion_errors(predicted: Points, driving: Points) -> dict[str, float]:
    return {
        "pose": rotation_angle(
            estimate_head_rotation(predicted, FACE_SIDE), estimate_head_rotation(driving, FACE_SIDE)
        ),
        "eyes": abs(eye_aspect(predicted) - eye_aspect(driving)),
        "mouth": abs(mouth_aspect(predicted) - mouth_aspect(driving)),
    }


def estimate_head_rotation(points: Points, side: int) -> NDArray[np.float64]:
    """Estimate the rotation (3, 3) that best projects a generic head's features onto the landmarks.

    Args:
        points: (68, 2), in pixels.
        side: side of the square image, in pixels.
    """
    camera = np.array([[FOCAL_LENGTH * side, 0, side / 2], [0, FOCAL_LENGTH * side, side / 2], [0, 0, 1]])
    image_points = points[list(HEAD_MODEL)].astype(np.float64)
    head_points = np.array(list(HEAD_MODEL.values()))
    # The only OpenCV solver that needs no initial guess, but it stops up to a degree from the best pose.
    _, rotation, translation = cv2.solvePnP(head_points, image_points, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    rotation, _ = cv2.solvePnPRefineLM(
        head_points, image_points, camera, None, rotation, translation, POSE_CRITERIA
    )
    return np.asarray(cv2.Rodrigues(rotation)[0], dtype=np.float64)


def rotation_angle(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Compute the angle between two rotations (3, 3), in degrees."""
    cosine = (np.trace(a.T @ b) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def eye_aspect(points: Points) -> float:
    """Compute the eyes' height over width, averaged over both (Soukupova & Cech, 2016), from 68 points."""
    return float(np.mean([_aspect(points[36:42]), _aspect(points[42:48])]))


def _aspect(eye: Points) -> float:
    """Compute height over width from six points around an eye, the first at a corner."""
    height = np.linalg.norm(eye[1] - eye[5]) + np.linalg.norm(eye[2] - eye[4])
    return float(height / (2 * np.linalg.norm(eye[0] - eye[3])))


def mouth_aspect(points: Points) -> float:
    """Compute the height over width of the mouth's opening, from the inner lips of 68 points."""
    inner = points[60:68]
    height = np.mean([np.linalg.norm(inner[upper] - inner[8 - upper]) for upper in (1, 2, 3)])
    return float(height / np.linalg.norm(inner[0] - inner[4]))


def measure_gaze(points: Points) -> NDArray[np.float64]:
    """Measure the position of each iris relative to the corners of its eye, (2, 2) in eye widths.

    A row holds the offset from the midpoint between the corners, along and across the line through them. The
    position, size and roll of the face therefore have no effect.

    Args:
        points: MediaPipe's 478, (478, 2) in pixels.
    """
    eyes = EYE_CORNERS["mediapipe478"]
    return np.stack(
        [_iris_offset(points, corners, iris) for corners, iris in zip(eyes, IRIS_CENTERS, strict=True)]
    )


def _iris_offset(points: Points, corners: tuple[int, int], iris: int) -> NDArray[np.float64]:
    left, right = points[list(corners)].astype(np.float64)
    across = right - left
    width = float(np.linalg.norm(across))
    along = across / width
    offset = points[iris] - (left + right) / 2
    return np.array([offset @ along, offset @ np.array([-along[1], along[0]])]) / width
