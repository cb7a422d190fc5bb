"""The photograph: selection of the faces that move, their crops, and blending of the animated squares."""

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
"""Size of the search and smallest face in it; a photograph is searched only once, so the search may take
longer and find smaller faces than in the frame of a video."""
SAME_FACE_IOU = 0.2
"""Overlap from which on two detections are the same face."""
MAX_WHOLE_SIDE = 1920
"""Maximum longer side of a whole image in the output, in pixels."""
SEAM_FRACTION = 0.12
"""Width of the seam around an animated square, as a share of its side."""


def find_faces(image: Frame) -> list[Box]:
    """Detect all faces in a photograph; return their Viola-Jones boxes from left to right."""
    detector, luma = ViolaJones(), RgbFrame(image).luma
    faces = detector.detect(luma)
    for face in detector.detect(luma, FINE_SEARCH_SIDE, FINE_FACE_FRACTION):
        if all(face.iou(other) < SAME_FACE_IOU for other in faces):
            faces.append(face)
    return sorted(faces, key=lambda box: (box.x0, box.y0))


def select_faces(image: Frame, name: str, face: int | str) -> list[Box]:
    """Detect the faces in a photograph and select those requested by `Options.face`.

    Args:
        image: (H, W, 3) uint8 RGB.
        name: name of the photograph, for messages.
        face: `largest`, `all`, or the number of a face from left to right.

    Raises:
        FaceanimError: no face is found, or too few for that number.
    """
    faces = find_faces(image)
    if not faces:
        raise FaceanimError(f"no face found in {name}; use an image with one upright, frontal face")
    if face == "all":
        return faces
    if face == "largest":
        return [max(faces, key=lambda box: box.area)]
    return [pick_face(faces, int(face), name)]


def pick_face(faces: list[Box], number: int, name: str) -> Box:
    """Return the face with a number, counted from left to right.

    Raises:
        FaceanimError: the number is larger than the number of faces.
    """
    if number > len(faces):
        raise FaceanimError(f"cannot select face {number}: only {len(faces)} found in {name}")
    return sorted(faces)[number - 1]


def prepare_photograph(image: Frame, options: Options) -> Frame:
    """Shrink a photograph to the size of the output and crop it to even sides, as H.264 requires.

    A photograph of which only the square around a face is shown is returned unchanged.
    """
    if not options.shows_whole:
        return image
    height, width = image.shape[:2]
    factor = min(MAX_WHOLE_SIDE / max(height, width), 1.0)
    if factor < 1:
        size = (round(width * factor), round(height * factor))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = image.shape[:2]
    return image[: height // 2 * 2, : width // 2 * 2]


def crop_photograph(image: Frame, square: Box, size: int) -> Frame:
    """Crop a square from a photograph and resize it to (size, size, 3)."""
    return crop_frame(RgbFrame(image), square, size)


@dataclass(frozen=True)
class Placement:
    """Placement of an animated square in a photograph.

    Attributes:
        square: the square in whole pixels; it may extend beyond the photograph.
        opacity: (h, w, 1) float32 in [0, 1], opacity of the animated square in each pixel of the part that
            lies inside the photograph.
    """

    square: Box
    opacity: NDArray[np.float32]

    @classmethod
    def create(cls, square: Box, image: Frame) -> "Placement":
        """Place a square in a photograph, with a soft seam."""
        side = int(square.width)
        ramp = np.minimum(np.arange(side) + 0.5, np.arange(side)[::-1] + 0.5) / (SEAM_FRACTION * side)
        ramp = np.clip(ramp, 0, 1)
        ramp = ramp * ramp * (3 - 2 * ramp)
        opacity = (ramp[:, None] * ramp[None])[..., None].astype(np.float32)
        return cls(square, opacity[_intersect(square, image)[1]])

    def blend_into(self, animated: Frame, canvas: Frame) -> None:
        """Blend the animated square, as large as `square`, into the photograph `canvas` in place."""
        in_canvas, in_square = _intersect(self.square, canvas)
        background = canvas[in_canvas].astype(np.float32)
        canvas[in_canvas] = np.rint(background + self.opacity * (animated[in_square] - background)).astype(
            np.uint8
        )


def _intersect(square: Box, image: Frame) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Intersect a square with an image; return the common part as slices of the image and of the square."""
    x0, y0, x1, y1 = (int(edge) for edge in square)
    left, top = max(x0, 0), max(y0, 0)
    right, bottom = min(x1, image.shape[1]), min(y1, image.shape[0])
    in_image = slice(top, bottom), slice(left, right)
    return in_image, (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
