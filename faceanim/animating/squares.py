"""The square around a driving face in each frame: still if it can be, else drifting along with the face."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.faces.boxes import Box
from faceanim.faces.framing import HEAD, crop_box

MARGIN = 0.1
"""`crop.margin` of the shipped profiles: a driving face is framed as those that the model was trained on."""
ROOM = 1.25
"""A square that need not move is at most this much larger than the one around a single head."""
DRIFT_S = 1.5
"""Time over which a square's movement is averaged: it goes with a walk through the room, not with a nod."""


def squares_around(faces: Sequence[Box], frame_size: tuple[int, int], fps: float) -> list[Box]:
    """The square that is read in each frame.

    One still square holds the head all the time where that is not much larger than the head. Otherwise the
    square is of the size that the head needs, and goes along with it slowly: what the portrait takes over is
    how the head moves, not where the person goes.

    Args:
        faces: the Viola-Jones box in each frame, in the frame's pixels.
        frame_size: width and height.
        fps: frames a second.
    """
    still = crop_box(faces, MARGIN, frame_size)
    heads = [face.grown(**HEAD) for face in faces]
    side = float(np.quantile([max(head.width, head.height) for head in heads], 0.9)) * (1 + 2 * MARGIN)
    if still.width <= ROOM * side:
        return [still] * len(faces)
    side = min(2.0 * math.ceil(side / 2), min(frame_size) // 2 * 2.0)
    corners = np.array([((h.x0 + h.x1 - side) / 2, (h.y0 + h.y1 - side) / 2) for h in heads])
    inside = np.clip(corners, 0, np.array(frame_size) - side)
    return [Box(x, y, x + side, y + side) for x, y in _evenly(inside, DRIFT_S * fps).tolist()]


def _evenly(path: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """A path (N, 2) smoothed by a Gaussian; beyond its ends it is thought to go on as it came."""
    room = min(math.ceil(3 * sigma), len(path) - 1)
    longer = np.pad(path, ((room, room), (0, 0)), mode="reflect", reflect_type="odd")
    blurred = cv2.GaussianBlur(longer[:, None], (0, 0), 1, sigmaY=sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred[room : room + len(path), 0], np.float64)


def on_pixels(square: Box) -> Box:
    """The nearest square in even whole pixels, for videos have one colour for two by two."""
    x0, y0, side = (2.0 * round(length / 2) for length in (square.x0, square.y0, square.width))
    return Box(x0, y0, x0 + side, y0 + side)
