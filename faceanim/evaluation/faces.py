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

from faceanim.evaluation.geometry import angle_between, eye_aspect, gaze, head_rotation, mouth_aspect
from faceanim.evaluation.pictures import enlarge
from faceanim.faces.detectors import DlibDetector, LandmarkDetector, Landmarks, Points, dlib_weights
from faceanim.inference import Frames

SIDE = 256
"""Of the frames that are read, in pixels: the unit of AKD."""
IDENTITY_WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"
IDENTITY_METRICS = ("aed", "csim")
FACE_METRICS = ("akd", "missed", *IDENTITY_METRICS, "pose", "eyes", "mouth", "gaze")

Embedding = NDArray[np.float64]
"""(128,); of one person's faces they lie within about 0.6."""


@dataclass(frozen=True)
class Face:
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
        self._identity: Any = dlib.face_recognition_model_v1(str(identity_weights()))
        self._irises = irises

    def read(self, frame: Frames, identity: bool) -> Face:
        """Read a square frame.

        Args:
            frame: (S, S, 3), RGB in [0, 255].
            identity: whether the embedding is asked for, which costs more than all the rest.
        """
        large = enlarge(frame, SIDE)
        found = self._landmarks.detect(cv2.cvtColor(large, cv2.COLOR_RGB2GRAY), None)
        mesh = self._irises.detect(large, None) if self._irises else None
        return Face(
            None if found is None else found.points,
            self._embedding(large, found) if identity and found else None,
            None if mesh is None else gaze(mesh.points),
        )

    def _embedding(self, frame: Frames, face: Landmarks) -> Embedding:
        corners = (face.box.x0, face.box.y0, face.box.x1, face.box.y1)
        box = self._dlib.rectangle(*(round(corner) for corner in corners))
        parts = [self._dlib.point(round(x), round(y)) for x, y in face.points.tolist()]
        shape = self._dlib.full_object_detection(box, parts)
        return np.asarray(self._identity.compute_face_descriptor(frame, shape), dtype=np.float64)


def identity_weights() -> Path:
    """The file of dlib's face-recognition network; see `dlib_weights`."""
    return dlib_weights().with_name(IDENTITY_WEIGHTS)


def face_metrics(made: Face, driving: Face, identity: Embedding | None, same_face: bool) -> dict[str, float]:
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
            found |= _motion(made.points, driving.points)
            if same_face:
                found["akd"] = float(np.linalg.norm(made.points - driving.points, axis=1).mean())
    if made.embedding is not None and identity is not None:
        found["aed"] = float(np.linalg.norm(made.embedding - identity))
        lengths = np.linalg.norm(made.embedding) * np.linalg.norm(identity)
        found["csim"] = float(made.embedding @ identity / lengths)
    if made.gaze is not None and driving.gaze is not None:
        found["gaze"] = float(np.linalg.norm(made.gaze - driving.gaze, axis=1).mean())
    return found


def _motion(made: Points, driving: Points) -> dict[str, float]:
    return {
        "pose": angle_between(head_rotation(made, SIDE), head_rotation(driving, SIDE)),
        "eyes": abs(eye_aspect(made) - eye_aspect(driving)),
        "mouth": abs(mouth_aspect(made) - mouth_aspect(driving)),
    }
