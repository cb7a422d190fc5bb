"""Framing of faces: the only module that defines how much a crop shows around a Viola-Jones box."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from faceanim.media.boxes import Box, enclosing_box
from faceanim.media.frames import DecodedFrame, Frame, RgbFrame

HEAD_MARGINS = {"left": 0.2, "top": 0.3, "right": 0.2, "bottom": 0.2}
"""Margins that expand a Viola-Jones box to the head, as fractions of its sides.

A Viola-Jones box ends at the upper edge of the eyebrows, the cheeks and the chin. The expanded box contains
the head with hair and chin, like the crops of first-order-motion papers.
"""


def compute_crop_box(faces: Sequence[Box], margin: float, frame_size: tuple[int, int]) -> Box:
    """Compute the square crop of a sequence.

    It is the smallest square around the union of all heads, extended by `margin` on each side and shifted
    into the frame. A square keeps the aspect ratio. If the frame is too small for it, the square shrinks to
    the frame's shorter side as long as the faces themselves fit, rather than extend beyond the frame. Its
    edges are even whole pixels, because videos store one color per 2 x 2 pixels.

    Args:
        faces: Viola-Jones boxes in pixels of the frame.
        margin: margin as a fraction of the side of the square.
        frame_size: width and height of the frame, in pixels.
    """
    heads = enclosing_box(face.expand(**HEAD_MARGINS) for face in faces)
    tight = enclosing_box(faces)
    preferred = max(heads.width, heads.height) * (1 + 2 * margin)
    smallest = max(tight.width, tight.height)
    side = min(2 * math.ceil(preferred / 2), max(2 * math.ceil(smallest / 2), min(frame_size) // 2 * 2))
    x0 = _place_interval((heads.x0 + heads.x1 - side) / 2, side, frame_size[0])
    y0 = _place_interval((heads.y0 + heads.y1 - side) / 2, side, frame_size[1])
    return Box(x0, y0, x0 + side, y0 + side)


def _place_interval(start: float, length: int, available: int) -> float:
    """Compute the start of the square on one axis: inside the frame, or centered if it does not fit."""
    room = available - length
    inside = min(max(start, 0), room) if room >= 0 else room / 2
    return 2.0 * math.floor(inside / 2)


def crop_frame(frame: DecodedFrame, box: Box, size: int) -> Frame:
    """Crop a square box (even whole pixels) from a frame and resize it to (size, size, 3).

    Beyond the frame, its edge pixels are repeated.
    """
    width, height = frame.size
    x0, y0, x1, y1 = (int(edge) for edge in box)
    inside = Box(max(x0, 0), max(y0, 0), min(x1, width), min(y1, height))
    part = frame.crop(inside)
    padding = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    if any(padding):
        padded = cv2.copyMakeBorder(part.to_rgb(), *padding, cv2.BORDER_REPLICATE)
        part = RgbFrame(np.asarray(padded, np.uint8))
    return part.to_rgb((size, size))


def match_framing(face: Box, other: Box, square: Box) -> Box:
    """Compute the square, in whole pixels, that frames a face as `square` frames another face.

    Motion is transferred in fractions of the square, so both faces must have the same size relative to it.

    Args:
        face: box of the face to frame.
        other: box of the other face.
        square: square around the other face.
    """
    scale = face.width / other.width
    side = max(round(square.width * scale), 1)
    x0 = round((face.x0 + face.x1) / 2 - ((other.x0 + other.x1) / 2 - square.x0) * scale)
    y0 = round((face.y0 + face.y1) / 2 - ((other.y0 + other.y1) / 2 - square.y0) * scale)
    return Box(float(x0), float(y0), float(x0 + side), float(y0 + side))
