"""How a face is framed: the one place that says how much around a Viola-Jones box a crop shows."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from faceanim.media.boxes import Box, enclosing_box
from faceanim.media.frames import DecodedFrame, Frame, RgbFrame

HEAD_MARGINS = {"left": 0.2, "top": 0.3, "right": 0.2, "bottom": 0.2}
"""A Viola-Jones box ends at the eyebrows' upper edge, the cheeks and the chin. Grown by these shares of its
sides it holds the head with hair and chin, as the crops of first-order-motion papers do."""


def compute_crop_box(faces: Sequence[Box], margin: float, frame_size: tuple[int, int]) -> Box:
    """The square crop for a sequence, in even whole pixels, for videos have one colour for two by two.

    It is the smallest square around the union of all the heads, plus `margin` of its side on each side,
    shifted into the frame; a square, because that keeps the aspect ratio. Where the frame is too small for
    it, it shrinks to the frame's shorter side, as long as the faces themselves fit, rather than show what is
    not there.

    Args:
        faces: Viola-Jones boxes, in the frame's pixels.
        margin: share of the side.
        frame_size: width and height.
    """
    heads = enclosing_box(face.expand(**HEAD_MARGINS) for face in faces)
    tight = enclosing_box(faces)
    wanted = max(heads.width, heads.height) * (1 + 2 * margin)
    needed = max(tight.width, tight.height)
    side = min(2 * math.ceil(wanted / 2), max(2 * math.ceil(needed / 2), min(frame_size) // 2 * 2))
    x0 = _place_interval((heads.x0 + heads.x1 - side) / 2, side, frame_size[0])
    y0 = _place_interval((heads.y0 + heads.y1 - side) / 2, side, frame_size[1])
    return Box(x0, y0, x0 + side, y0 + side)


def _place_interval(start: float, length: int, available: int) -> float:
    """Where the square begins on one axis: inside the frame, or around its middle where it is larger."""
    room = available - length
    inside = min(max(start, 0), room) if room >= 0 else room / 2
    return 2.0 * math.floor(inside / 2)


def crop_frame(picture: DecodedFrame, box: Box, size: int) -> Frame:
    """Cut a square box (even whole pixels) out of a picture and resize it to (size, size, 3).

    Beyond the picture its edge pixels are repeated.
    """
    width, height = picture.size
    x0, y0, x1, y1 = (int(edge) for edge in box)
    inside = Box(max(x0, 0), max(y0, 0), min(x1, width), min(y1, height))
    part = picture.crop(inside)
    beyond = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    if any(beyond):
        padded = cv2.copyMakeBorder(part.to_rgb(), *beyond, cv2.BORDER_REPLICATE)
        part = RgbFrame(np.asarray(padded, np.uint8))
    return part.to_rgb((size, size))


def match_framing(face: Box, other: Box, square: Box) -> Box:
    """The square, in whole pixels, in which a face lies as another one does in its own square.

    Motion is carried over in shares of the square, so both faces have to be of one size in it.
    """
    scale = face.width / other.width
    side = max(round(square.width * scale), 1)
    x0 = round((face.x0 + face.x1) / 2 - ((other.x0 + other.x1) / 2 - square.x0) * scale)
    y0 = round((face.y0 + face.y1) / 2 - ((other.y0 + other.y1) / 2 - square.y0) * scale)
    return Box(float(x0), float(y0), float(x0 + side), float(y0 + side))
