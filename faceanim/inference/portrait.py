"""The photograph: which of its faces move, what is cut out around them, and how that goes back in."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.errors import FaceanimError
from faceanim.faces.detection import ViolaJones
from faceanim.faces.framing import crop_frame
from faceanim.inference.options import Options
from faceanim.media.boxes import Box
from faceanim.media.frames import Frame, RgbFrame

FINE_SEARCH_SIDE, FINE_FACE_FRACTION = 480, 0.05
"""A photograph is searched once, so that may take longer, and find smaller faces, than in a video's frame."""
SAME_FACE_IOU = 0.2
MAX_WHOLE_SIDE = 1920
"""Longer side of a whole picture as it is shown."""
SEAM_FRACTION = 0.12
"""Width of the seam around an animated square, as a share of its side."""


def find_faces(picture: Frame) -> list[Box]:
    """The Viola-Jones boxes of all faces in a photograph, from left to right."""
    detector, luma = ViolaJones(), RgbFrame(picture).luma
    found = detector.detect(luma)
    for face in detector.detect(luma, FINE_SEARCH_SIDE, FINE_FACE_FRACTION):
        if all(face.iou(other) < SAME_FACE_IOU for other in found):
            found.append(face)
    return sorted(found, key=lambda box: (box.x0, box.y0))


def select_faces(picture: Frame, name: str, which: int | str) -> list[Box]:
    """The faces that `Options.face` asks for.

    Raises:
        FaceanimError: there is none, or not so many; `name` says in what.
    """
    faces = find_faces(picture)
    if not faces:
        raise FaceanimError(f"no face found in {name}; take a picture with one upright, frontal face")
    if which == "all":
        return faces
    if which == "largest":
        return [max(faces, key=lambda box: box.area)]
    return [pick_face(faces, int(which), name)]


def pick_face(faces: list[Box], number: int, name: str) -> Box:
    """The face of a number from left to right.

    Raises:
        FaceanimError: there are not so many.
    """
    if number > len(faces):
        raise FaceanimError(f"faces found in {name}: {len(faces)}; there is no face {number}")
    return sorted(faces)[number - 1]


def prepare_photograph(picture: Frame, options: Options) -> Frame:
    """A photograph as the result shows it: no larger than needed, and of even sides, which H.264 wants."""
    if not options.shows_whole:
        return picture
    height, width = picture.shape[:2]
    factor = min(MAX_WHOLE_SIDE / max(height, width), 1.0)
    if factor < 1:
        size = (round(width * factor), round(height * factor))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = picture.shape[:2]
    return picture[: height // 2 * 2, : width // 2 * 2]


@dataclass(frozen=True)
class Placement:
    """Where in a photograph an animated square goes.

    Attributes:
        square: in whole pixels; it may reach beyond the photograph.
        opacity: (h, w, 1) float32 in [0, 1], how much of the animated square shows in each pixel of the part
            that lies in the photograph.
    """

    square: Box
    opacity: NDArray[np.float32]

    @classmethod
    def create(cls, square: Box, picture: Frame) -> "Placement":
        """The place of a square in a photograph, with a soft seam."""
        side = int(square.width)
        ramp = np.minimum(np.arange(side) + 0.5, np.arange(side)[::-1] + 0.5) / (SEAM_FRACTION * side)
        ramp = np.clip(ramp, 0, 1)
        ramp = ramp * ramp * (3 - 2 * ramp)
        share = (ramp[:, None] * ramp[None])[..., None].astype(np.float32)
        return cls(square, share[_intersect(square, picture)[1]])

    def blend_into(self, animated: Frame, canvas: Frame) -> None:
        """Blend the animated square, as large as `square`, into the photograph `canvas`, which is changed."""
        where, part = _intersect(self.square, canvas)
        below = canvas[where].astype(np.float32)
        canvas[where] = np.rint(below + self.opacity * (animated[part] - below)).astype(np.uint8)


def _intersect(square: Box, picture: Frame) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a square that lies in a picture: in the picture's pixels, and in the square's."""
    x0, y0, x1, y1 = (int(edge) for edge in square)
    left, top = max(x0, 0), max(y0, 0)
    right, bottom = min(x1, picture.shape[1]), min(y1, picture.shape[0])
    where = slice(top, bottom), slice(left, right)
    return where, (slice(top - y0, bottom - y0), slice(left - x0, right - x0))


def crop_photograph(picture: Frame, square: Box, size: int) -> Frame:
    """A square of a photograph, (size, size, 3)."""
    return crop_frame(RgbFrame(picture), square, size)
