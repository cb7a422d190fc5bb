"""Facial landmark detectors behind one interface."""

import importlib.metadata
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from faceanim.errors import FaceanimError
from faceanim.media.boxes import Box
from faceanim.media.frames import Frame, Plane
from faceanim.models.pretrained import fetch_weights
from faceanim.tables import file_sha256

VERSION = "2"
"""Raise it when a detector would be called in another way than before."""
MEDIAPIPE_WEIGHTS = "mediapipe_face_landmarker"

VIOLA_JONES_TO_DLIB = {"left": -0.04, "top": -0.12, "right": -0.04, "bottom": 0.04}
"""What makes of a Viola-Jones box the smaller and lower one of dlib's own detector, which its landmarks were
trained on (means over 18 crops of real clips). In it the points lie better, and more still."""
UPSCALED_WIDTH = 384
"""dlib gives whole pixels, which is a third of its jitter on a 256-pixel crop. So it is shown the face
enlarged by a whole factor, to about this width in pixels; more lowers the jitter little, and costs time."""
CONTEXT_MARGIN = 0.15
"""What dlib is shown around the face, as a share of its side."""
MIN_SEARCH_SIDE = 256
"""dlib's own detector finds faces from 80 pixels on: smaller pictures than this are doubled for it."""

Points = npt.NDArray[np.float32]
"""(P, 2), x then y, in pixels of the image; the first pixel's middle is 0."""


@dataclass(frozen=True)
class Landmarks:
    """One face.

    Attributes:
        points: (P, 2) float32 in pixels of the image.
        box: of the face, as this detector draws it.
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
    """Finds the landmarks of one face in an image.

    Attributes:
        gray: whether it looks at brightness alone, and is to be given (H, W) images.
    """

    gray: bool

    def detect(self, image: Frame | Plane, face: Box | None) -> Landmarks | None:
        """Landmarks of the face in that box, or of the one it finds itself; None: it finds no face.

        Args:
            image: (H, W, 3) RGB uint8, or (H, W) uint8 where `gray`.
            face: the Viola-Jones box of the face, where it is known.
        """

    def close(self) -> None:
        """Give back what it holds."""


class DlibDetector:
    """dlib's 68 points (Kazemi & Sullivan, 2014), in the box that is given, else in dlib's own detector's.

    The weights come with the package face_recognition_models. They were trained on iBUG 300-W, whose licence
    excludes commercial use.
    """

    gray = True

    def __init__(self) -> None:
        import dlib

        self._predict, self._frontal = _load_dlib_models()
        self._rectangle = dlib.rectangle

    def detect(self, image: Plane, face: Box | None) -> Landmarks | None:
        """See `LandmarkDetector`."""
        found = self._search(image) if face is None else (face.expand(**VIOLA_JONES_TO_DLIB), None)
        if found is None:
            return None
        box, score = found
        return Landmarks(self._predicted(image, box), box, score)

    def close(self) -> None:
        """See `LandmarkDetector`; dlib's models stay for the next one."""

    def _search(self, image: Plane) -> tuple[Box, float] | None:
        """The face that dlib's own detector (HOG, one scale after the other) is surest of."""
        rectangles, scores, _ = self._frontal.run(image, 1 if min(image.shape) < MIN_SEARCH_SIDE else 0)
        if not scores:
            return None
        best = int(np.argmax(scores))
        face = rectangles[best]
        return Box(face.left(), face.top(), face.right() + 1, face.bottom() + 1), float(scores[best])

    def _predicted(self, image: Plane, box: Box) -> Points:
        height, width = image.shape
        shown = box.expand(CONTEXT_MARGIN, CONTEXT_MARGIN, CONTEXT_MARGIN, CONTEXT_MARGIN)
        x0, y0 = max(int(shown.x0), 0), max(int(shown.y0), 0)
        part = image[y0 : min(int(shown.y1) + 1, height), x0 : min(int(shown.x1) + 1, width)]
        factor = max(round(UPSCALED_WIDTH / box.width), 1)
        large = cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
        left, top, right, bottom = (round(edge) for edge in box.shift(-x0, -y0).scale(factor))
        found = self._predict(large, self._rectangle(left, top, right - 1, bottom - 1))
        points = _to_points(found.parts())
        origin = np.array((x0 - 0.5, y0 - 0.5), dtype=np.float32)
        return np.asarray((points + 0.5) / factor + origin, dtype=np.float32)


@cache
def _load_dlib_models() -> tuple[Any, Any]:
    """dlib's landmarks and its face detector, read once a process: 100 MB take a second."""
    import dlib

    return dlib.shape_predictor(str(find_dlib_weights())), dlib.get_frontal_face_detector()


def find_dlib_weights() -> Path:
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
    """MediaPipe's face landmarker: 478 points with irises (Apache-2.0), each image on its own.

    Its mode for videos trembles a third as much, but its points come 0.2 to 1.2 frames late: it smooths them.
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
        """See `LandmarkDetector`; the whole image is searched every time, for the one face it finds first."""
        height, width = image.shape[:2]
        picture = self._image(image_format=self._format, data=np.ascontiguousarray(image))
        faces = self._landmarker.detect(picture).face_landmarks
        if not faces:
            return None
        points = _to_points(faces[0]) * np.array((width, height), dtype=np.float32)
        (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return Landmarks(points, Box(x0, y0, x1, y1), None)

    def close(self) -> None:
        """See `LandmarkDetector`; left to the interpreter's end, it would happen noisily."""
        self._landmarker.close()


def _to_points(found: Iterable[Any]) -> Points:
    """(P, 2) of objects with an x and a y."""
    places = list(found)
    return np.array(([place.x for place in places], [place.y for place in places]), dtype=np.float32).T


def describe_detector(name: str) -> DetectorInfo:
    """What a detector is, without making one.

    Raises:
        FaceanimError: its weights are not to be had.
    """
    if name == "mediapipe":
        path, package, scheme, points = fetch_weights(MEDIAPIPE_WEIGHTS), "mediapipe", "mediapipe478", 478
    else:
        path, package, scheme, points = find_dlib_weights(), "dlib-bin", "ibug68", 68
    version = f"{importlib.metadata.version(package)}/{VERSION}"
    return DetectorInfo(name, version, file_sha256(path), scheme, points)


def create_detector(name: str) -> LandmarkDetector:
    """A detector of that name; it wants to be closed."""
    return MediaPipeDetector() if name == "mediapipe" else DlibDetector()
