"""Facial landmark detectors behind one interface."""

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from faceanim.data.items import file_sha256
from faceanim.data.video import Frame
from faceanim.data.weights import weights_file
from faceanim.errors import FaceanimError
from faceanim.faces.boxes import Box
from faceanim.faces.detect import ViolaJones, small_gray

VERSION = "1"
"""Raise it when a detector would be called in another way than before."""
MEDIAPIPE_WEIGHTS = "mediapipe_face_landmarker"

Points = npt.NDArray[np.float32]
"""(P, 2), x then y, in pixels of the image."""


@dataclass(frozen=True)
class Landmarks:
    """One face.

    Attributes:
        points: (P, 2) float32 in pixels of the image.
        box: of the face; where to look in the next frame.
        score: the detector's confidence, where it tells one.
    """

    points: Points
    box: Box
    score: float | None


@dataclass(frozen=True)
class DetectorInfo:
    """What a landmarks file must say of its detector.

    Attributes:
        name: as in params.
        version: of the library and of how we call it.
        weights_sha256: of the model's file.
        scheme: name of the set of points.
        points: how many there are.
    """

    name: str
    version: str
    weights_sha256: str
    scheme: str
    points: int


class LandmarkDetector(Protocol):
    """Finds the landmarks of one face in an image."""

    info: DetectorInfo

    def detect(self, image: Frame, box: Box | None) -> Landmarks | None:
        """Landmarks of the face nearest `box` (of the frame before), or the largest; None: no face.

        Args:
            image: (H, W, 3) RGB uint8.
            box: what the last call on this video gave, if it gave one.
        """


class DlibDetector:
    """dlib's 68 points (Kazemi & Sullivan, 2014), in the box that Viola-Jones finds.

    The weights come with the package face_recognition_models. They were trained on iBUG 300-W, whose licence
    excludes commercial use.
    """

    def __init__(self) -> None:
        import dlib

        self.info = describe("dlib")
        self._predict = dlib.shape_predictor(str(dlib_weights()))
        self._frontal = dlib.get_frontal_face_detector()
        self._rectangle = dlib.rectangle
        self._viola_jones = ViolaJones()

    def detect(self, image: Frame, box: Box | None) -> Landmarks | None:
        """See `LandmarkDetector`."""
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        found = self._find(image, gray, box)
        if found is None:
            return None
        face, score = found
        shape = self._predict(gray, self._rectangle(*(round(edge) for edge in face)))
        points = np.array([(part.x, part.y) for part in shape.parts()], dtype=np.float32)
        return Landmarks(points, face, score)

    def _find(
        self, image: Frame, gray: npt.NDArray[np.uint8], box: Box | None
    ) -> tuple[Box, float | None] | None:
        """The face's box: Viola-Jones near the last one, then anywhere, then dlib's own detector."""
        small, factor = small_gray(image)
        faces = self._viola_jones.detect(small, near=box.scaled(1 / factor)) if box is not None else []
        if faces and box is not None:
            return max((face.scaled(factor) for face in faces), key=box.iou), None
        faces = self._viola_jones.detect(small)
        if faces:
            return faces[0].scaled(factor), None
        rectangles, scores, _ = self._frontal.run(gray, 0)
        if not scores:
            return None
        best = int(np.argmax(scores))
        face = rectangles[best]
        return Box(face.left(), face.top(), face.right() + 1, face.bottom() + 1), float(scores[best])


def dlib_weights() -> Path:
    """The file of the 68-point model.

    Raises:
        FaceanimError: the package is not installed.
    """
    # Not imported: it asks for pkg_resources, which is gone from today's setuptools.
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise FaceanimError("dlib's landmark weights are missing: pip install face-recognition-models")
    return Path(spec.submodule_search_locations[0]) / "models" / "shape_predictor_68_face_landmarks.dat"


class MediaPipeDetector:
    """MediaPipe's face landmarker: 478 points with irises (Apache-2.0), each image on its own."""

    def __init__(self) -> None:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision

        self.info = describe("mediapipe")
        model = BaseOptions(model_asset_path=str(weights_file(MEDIAPIPE_WEIGHTS)))
        options = vision.FaceLandmarkerOptions(base_options=model)
        self._landmarker: Any = vision.FaceLandmarker.create_from_options(options)
        self._image: Any = mediapipe.Image
        self._format = mediapipe.ImageFormat.SRGB

    def detect(self, image: Frame, box: Box | None) -> Landmarks | None:
        """See `LandmarkDetector`; the whole image is searched every time, for the one face it finds first."""
        height, width = image.shape[:2]
        picture = self._image(image_format=self._format, data=np.ascontiguousarray(image))
        faces = self._landmarker.detect(picture).face_landmarks
        if not faces:
            return None
        points = np.array([(point.x * width, point.y * height) for point in faces[0]], dtype=np.float32)
        (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return Landmarks(points, Box(x0, y0, x1, y1), None)


def describe(name: str) -> DetectorInfo:
    """What a detector is, without making one.

    Raises:
        FaceanimError: its weights are not to be had.
    """
    if name == "mediapipe":
        path, package, scheme, points = weights_file(MEDIAPIPE_WEIGHTS), "mediapipe", "mediapipe478", 478
    else:
        path, package, scheme, points = dlib_weights(), "dlib-bin", "ibug68", 68
    version = f"{importlib.metadata.version(package)}/{VERSION}"
    return DetectorInfo(name, version, file_sha256(path), scheme, points)


@cache
def detector(name: str) -> LandmarkDetector:
    """The detector of that name, made once a process: reading dlib's 100 MB takes a second."""
    return MediaPipeDetector() if name == "mediapipe" else DlibDetector()
