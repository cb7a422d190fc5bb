"""What a face does, told from its landmarks: the head's pose, the eyes' and mouth's opening, the gaze."""

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.faces.schemes import EYES

Points = NDArray[np.float32]
"""(P, 2), x then y, in pixels."""

HEAD = {
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
REFINED = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 1000, 1e-15)
"""When to stop: some 1e-5 degrees from the best pose."""
IRISES = (468, 473)
"""MediaPipe's centres of the irises, image left then right."""


def head_rotation(points: Points, side: int) -> NDArray[np.float64]:
    """The rotation (3, 3) that puts a generic head's features nearest to the landmarks, in the picture.

    Args:
        points: (68, 2), in pixels.
        side: of the square image.
    """
    camera = np.array([[FOCAL_LENGTH * side, 0, side / 2], [0, FOCAL_LENGTH * side, side / 2], [0, 0, 1]])
    seen = points[list(HEAD)].astype(np.float64)
    head = np.array(list(HEAD.values()))
    # The only one of OpenCV's solvers that needs no first guess, but it stops up to a degree from the best.
    _, rotation, place = cv2.solvePnP(head, seen, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    rotation, _ = cv2.solvePnPRefineLM(head, seen, camera, None, rotation, place, REFINED)
    return np.asarray(cv2.Rodrigues(rotation)[0], dtype=np.float64)


def angle_between(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
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


def gaze(points: Points) -> NDArray[np.float64]:
    """Where the irises are between the corners of the eyes, (2, 2): of each eye, along and across.

    Measured from the middle of the corners along the line through them, so that neither the face's place and
    size nor its roll matter, in eye widths.

    Args:
        points: MediaPipe's 478.
    """
    eyes = EYES["mediapipe478"]
    return np.stack([_in_eye(points, corners, iris) for corners, iris in zip(eyes, IRISES, strict=True)])


def _in_eye(points: Points, corners: tuple[int, int], iris: int) -> NDArray[np.float64]:
    left, right = points[list(corners)].astype(np.float64)
    across = right - left
    width = float(np.linalg.norm(across))
    along = across / width
    offset = points[iris] - (left + right) / 2
    return np.array([offset @ along, offset @ np.array([-along[1], along[0]])]) / width
