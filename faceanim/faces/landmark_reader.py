"""Landmarks of faces to be animated, by the detector that the model was trained with.

They are read as the stage `landmarks` reads those that the model learns from, and in crops that are large
enough for the detector, whatever the size of the model's frames.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from faceanim.errors import FaceanimError, name_missing_packages
from faceanim.faces.detection import ViolaJones
from faceanim.faces.landmark_detectors import LandmarkDetector, Landmarks, create_detector, detect_tracked
from faceanim.faces.landmark_sets import IBUG68, Points, normalize_landmarks, select_ibug68
from faceanim.media.boxes import Box
from faceanim.media.frames import Frame, Frames, RgbFrame

MIN_READ_SIDE = 256
"""Smallest side of the crops in which landmarks are read, in pixels: about that of a training's crops."""


class LandmarkReader:
    """Reader of iBUG's 68 landmarks in square crops.

    Args:
        name: name of the detector, `dlib` or `mediapipe`.
        size: side of the frames of the model, in pixels.

    Raises:
        FaceanimError: the detector's package or its weights are missing; the message says what to install.
    """

    def __init__(self, name: str, size: int) -> None:
        with name_missing_packages("read facial landmarks"):
            self._detector: LandmarkDetector = create_detector(name)
        self._size = size
        self._viola_jones = ViolaJones()

    def close(self) -> None:
        """Release the resources of the detector."""
        self._detector.close()

    def read(self, crops: Frames, faces: Sequence[Box | None]) -> NDArray[np.float32]:
        """Read the landmarks of faces whose boxes are known.

        Args:
            crops: (N, H, H, 3), uint8 RGB; see `read_side` for a good size.
            faces: Viola-Jones box of the face in each crop, in its pixels; None: the crop shows no face.

        Returns:
            (N, 68, 2), x then y in [-1, 1], the centers of the outermost pixels of a frame of the model; NaN
            in crops without a face, or with most of it outside.
        """
        side = crops.shape[1]
        whole = Box(0, 0, side, side)
        found = (
            detect_tracked(self._detector, self._prepare(crop), face)
            if face is not None and whole.contains_center_of(face)
            else None
            for crop, face in zip(crops, faces, strict=True)
        )
        return self._collect(found, side)

    def search(self, crops: Frames) -> NDArray[np.float32]:
        """Read the landmarks of the largest face of each crop; see `read`."""
        return self._collect((self._search(crop) for crop in crops), crops.shape[1])

    def _search(self, crop: Frame) -> Landmarks | None:
        faces = self._viola_jones.detect(RgbFrame(crop).luma)
        image = self._prepare(crop)
        return (
            detect_tracked(self._detector, image, faces[0]) if faces else self._detector.detect(image, None)
        )

    def _prepare(self, crop: Frame) -> Frame:
        return RgbFrame(crop).luma if self._detector.gray else crop

    def _collect(self, found: Iterable[Landmarks | None], side: int) -> NDArray[np.float32]:
        missing: Points = np.full((len(IBUG68), 2), np.nan, np.float32)
        points = [missing if face is None else select_ibug68(face.points) for face in found]
        return normalize_landmarks(np.stack(points), side, self._size)


def read_side(size: int) -> int:
    """Return the side of the crops in which landmarks are read for frames of a side: a multiple of it."""
    return size * math.ceil(MIN_READ_SIDE / size)


def open_reader(name: str, size: int, warn: Callable[[str], None]) -> LandmarkReader | None:
    """Create a reader if its detector is available: without it, faces can be animated, if less well.

    Args:
        name: see `LandmarkReader`.
        size: see `LandmarkReader`.
        warn: called with a line that says what is missing.

    Returns:
        The reader, which the caller must close, or None.
    """
    try:
        return LandmarkReader(name, size)
    except FaceanimError as error:
        warn(f"{error}; without landmarks, keypoints alone move the face")
        return None
