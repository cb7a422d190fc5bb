"""Everything that moves a face, read from crops: the network's keypoints, and landmarks if it uses any.

Driving videos and portraits are read by the same code. A landmark detector that is missing, or that finds no
face, is no error, since keypoints alone move a face as well, if with less expression; a warning says so.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext

import numpy as np

from faceanim.faces.landmark_reader import LandmarkReader, open_reader, read_side
from faceanim.inference.backend import Network, Portrait
from faceanim.inference.keypoints import KeypointArray
from faceanim.media.boxes import Box
from faceanim.media.frames import Frame, Frames, resize_square

NO_LANDMARKS = "no landmarks found in {}; keypoints alone move the face"
DRIVING_FACE = "the driving video"
"""Name of the driving face in `NO_LANDMARKS`."""


class PointReader:
    """Reader of the points of faces in square crops; see `open_points`.

    Args:
        network: network that detects the keypoints.
        landmarks: reader of the landmarks; None: the network uses none, or they cannot be read.

    Attributes:
        side: side of the crops to be read, in pixels: that of the network's frames or, for landmarks, a
            multiple of it.
        warnings: lines that say what could not be read.
    """

    def __init__(self, network: Network, landmarks: LandmarkReader | None) -> None:
        self.network = network
        self.side = network.size if landmarks is None else read_side(network.size)
        self.warnings: list[str] = []
        self._landmarks = landmarks

    def read(self, crops: Frames, faces: Sequence[Box | None]) -> KeypointArray:
        """Read the points of faces.

        Args:
            crops: (N, side, side, 3), uint8 RGB.
            faces: Viola-Jones box of the face in each crop, in its pixels; None: the crop shows no face.
        """
        if self._landmarks is None:
            return self.network.detect(crops)
        small = np.stack([self._shrink(crop) for crop in crops])
        return self.network.detect(small, self._landmarks.read(crops, faces))

    def read_portrait(self, crop: Frame, face: Box) -> Portrait:
        """Prepare a portrait, (side, side, 3), uint8 RGB, whose face is in a box."""
        if self._landmarks is None:
            return self.network.portrait(crop)
        return self.network.portrait(self._shrink(crop), self._landmarks.read(crop[None], [face]))

    def check(self, points: KeypointArray, name: str) -> None:
        """Add a warning if no frame has landmarks, although they could be read."""
        line = NO_LANDMARKS.format(name)
        if self._landmarks is not None and not points.with_landmarks.any() and line not in self.warnings:
            self.warnings.append(line)

    def _shrink(self, crop: Frame) -> Frame:
        return crop if len(crop) == self.network.size else resize_square(crop, self.network.size)


@contextmanager
def open_points(network: Network, needs_landmarks: bool = False) -> Iterator[PointReader]:
    """Open the reader of a network's points, with the detector that its model was trained with.

    Args:
        network: the network.
        needs_landmarks: whether a missing detector is an error rather than a warning.

    Raises:
        FaceanimError: the detector is missing but needed.
    """
    name, warnings = network.landmark_detector, list[str]()
    landmarks: LandmarkReader | None = None
    if name is not None and needs_landmarks:
        landmarks = LandmarkReader(name, network.size)
    elif name is not None:
        landmarks = open_reader(name, network.size, warnings.append)
    points = PointReader(network, landmarks)
    points.warnings += warnings
    with nullcontext() if landmarks is None else closing(landmarks):
        yield points
