"""Reading faces in frames, and how far what is read there lies from what was wanted.

Landmarks and identity are dlib's (its 68 points, and the embeddings of its face-recognition ResNet-29), the
irises MediaPipe's. Frames are enlarged to 256 pixels first, made ones and driving ones alike.
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
    Points,
    find_dlib_weights,
)
from faceanim.faces.landmark_sets import EYE_CORNERS
from faceanim.media.frames import Frames, resize_square

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
"""Where some of the 68 points are on a generic head, in centimetres, x to the image's right, y down, z away:
the ends of the brows, the nose's wings and the corners of the eyes, which a talking mouth leaves alone."""
FOCAL_LENGTH = 2.0
"""Of the camera taken for a crop's, in crop sides: a face of a crop fills some 25 degrees of its view."""
POSE_CRITERIA = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 1000, 1e-15)
"""When to stop: some 1e-5 degrees from the best pose."""
IRIS_CENTERS = (468, 473)
"""MediaPipe's centres of the irises, image left then right."""


def estimate_head_rotation(points: Points, side: int) -> NDArray[np.float64]:
    """The rotation (3, 3) that puts a generic head's features nearest to the landmarks, in the picture.

    Args:
        points: (68, 2), in pixels.
        side: of the square image.
    """
    camera = np.array([[FOCAL_LENGTH * side, 0, side / 2], [0, FOCAL_LENGTH * side, side / 2], [0, 0, 1]])
    seen = points[list(HEAD_MODEL)].astype(np.float64)
    head = np.array(list(HEAD_MODEL.values()))
    # The only one of OpenCV's solvers that needs no first guess, but it stops up to a degree from the best.
    _, rotation, place = cv2.solvePnP(head, seen, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    rotation, _ = cv2.solvePnPRefineLM(head, seen, camera, None, rotation, place, POSE_CRITERIA)
    return np.asarray(cv2.Rodrigues(rotation)[0], dtype=np.float64)


def rotation_angle(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The angle of the rotation (3, 3) from the one to the other, in degrees."""
    cosine = (np.trace(one.T @ other) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def eye_aspect(points: Points) -> float:
    """Height over width of the eyes, the mean of both (Soukupova & Cech, 2016), of 68 points."""
    return float(np.mean([_aspect(points[36:42]), _aspect(points[42:48])]))


def _aspect(eye: Points) -> float:
    """Of six points around an eye, from a corner on."""
    height = np.linalg.norm(eye[1] - eye[5]) + np.linalg.norm(eye[2] - eye[4])
    return float(height / (2 * np.linalg.norm(eye[0] - eye[3])))


def mouth_aspect(points: Points) -> float:
    """Height over width of the mouth's opening, by the inner lips of 68 points."""
    inner = points[60:68]
    height = np.mean([np.linalg.norm(inner[above] - inner[8 - above]) for above in (1, 2, 3)])
    return float(height / np.linalg.norm(inner[0] - inner[4]))


def measure_gaze(points: Points) -> NDArray[np.float64]:
    """Where the irises are between the corners of the eyes, (2, 2): of each eye, along and across.

    Measured from the middle of the corners along the line through them, so that neither the face's place and
    size nor its roll matter, in eye widths.

    Args:
        points: MediaPipe's 478.
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


FACE_SIDE = 256
"""Of the frames that are read, in pixels: the unit of AKD."""
IDENTITY_WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"
IDENTITY_METRICS = ("aed", "csim")
FACE_METRICS = ("akd", "missed", *IDENTITY_METRICS, "pose", "eyes", "mouth", "gaze")

Embedding = NDArray[np.float64]
"""(128,); of one person's faces they lie within about 0.6."""


@dataclass(frozen=True)
class FaceReading:
    """What is read in a frame; None: not found, or not asked for.

    Attributes:
        points: (68, 2), in pixels at SIDE.
        embedding: (128,).
        gaze: (2, 2), see `gaze`.
    """

    points: Points | None
    embedding: Embedding | None
    gaze: NDArray[np.float64] | None


class FaceReader:
    """Reads the face in a frame, each frame on its own.

    Args:
        irises: finds the irises; None: nobody does.
    """

    def __init__(self, irises: LandmarkDetector | None) -> None:
        import dlib

        self._dlib = dlib
        self._landmarks = DlibDetector()
        self._identity: Any = dlib.face_recognition_model_v1(str(find_identity_weights()))
        self._irises = irises

    def read(self, frame: Frames, identity: bool) -> FaceReading:
        """Read a square frame.

        Args:
            frame: (S, S, 3), RGB in [0, 255].
            identity: whether the embedding is asked for, which costs more than all the rest.
        """
        large = resize_square(frame, FACE_SIDE)
        found = self._landmarks.detect(cv2.cvtColor(large, cv2.COLOR_RGB2GRAY), None)
        mesh = self._irises.detect(large, None) if self._irises else None
        return FaceReading(
            None if found is None else found.points,
            self._embedding(large, found) if identity and found else None,
            None if mesh is None else measure_gaze(mesh.points),
        )

    def _embedding(self, frame: Frames, face: Landmarks) -> Embedding:
        corners = (face.box.x0, face.box.y0, face.box.x1, face.box.y1)
        box = self._dlib.rectangle(*(round(corner) for corner in corners))
        parts = [self._dlib.point(round(x), round(y)) for x, y in face.points.tolist()]
        shape = self._dlib.full_object_detection(box, parts)
        return np.asarray(self._identity.compute_face_descriptor(frame, shape), dtype=np.float64)


def find_identity_weights() -> Path:
    """The file of dlib's face-recognition network; see `dlib_weights`."""
    return find_dlib_weights().with_name(IDENTITY_WEIGHTS)


def compute_face_metrics(
    made: FaceReading, driving: FaceReading, identity: Embedding | None, same_face: bool
) -> dict[str, float]:
    """The metrics of a made face; those that cannot be told are left out.

    Args:
        made: read in the prediction.
        driving: read in the driving frame.
        identity: of the person that the prediction is to show.
        same_face: whether that is the driving person, so that the landmarks are to be the driving ones.
    """
    found: dict[str, float] = {}
    if driving.points is not None:
        found["missed"] = float(made.points is None)
        if made.points is not None:
            found |= _motion_errors(made.points, driving.points)
            if same_face:
                found["akd"] = float(np.linalg.norm(made.points - driving.points, axis=1).mean())
    if made.embedding is not None and identity is not None:
        found["aed"] = float(np.linalg.norm(made.embedding - identity))
        lengths = np.linalg.norm(made.embedding) * np.linalg.norm(identity)
        found["csim"] = float(made.embedding @ identity / lengths)
    if made.gaze is not None and driving.gaze is not None:
        found["gaze"] = float(np.linalg.norm(made.gaze - driving.gaze, axis=1).mean())
    return found


def _motion_errors(made: Points, driving: Points) -> dict[str, float]:
    return {
        "pose": rotation_angle(
            estimate_head_rotation(made, FACE_SIDE), estimate_head_rotation(driving, FACE_SIDE)
        ),
        "eyes": abs(eye_aspect(made) - eye_aspect(driving)),
        "mouth": abs(mouth_aspect(made) - mouth_aspect(driving)),
    }
