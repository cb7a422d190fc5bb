"""Viola-Jones face detection: the whole frame once, then only around where the face last was."""

from pathlib import Path

import cv2
import cv2.data
import numpy as np
import numpy.typing as npt

from faceanim.data.video import Frame
from faceanim.faces.boxes import Box

Gray = npt.NDArray[np.uint8]
"""(H, W)."""

SEARCH_SIDE = 360
"""Frames are searched at a size whose shorter side is at most this."""
SMALLEST_SHARE = 0.12
"""Smallest face searched, as a share of the frame's shorter side, so that upright videos lose nothing."""
NEIGHBOURS = 5
"""Raw hits that a face needs in a whole-frame search; fewer give false faces, more lose real ones."""
NEAR_NEIGHBOURS = 3
"""The same near a known face, where a hit is likely a face."""


class ViolaJones:
    """OpenCV's frontal-face cascade (Viola & Jones, 2001), which comes with OpenCV and needs no download."""

    def __init__(self) -> None:
        path = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"
        self._cascade = cv2.CascadeClassifier(str(path))

    def detect(self, gray: Gray, near: Box | None = None) -> list[Box]:
        """Find faces, the largest first (ties: leftmost, then topmost).

        Args:
            gray: (H, W) uint8; `small_gray` gives the size meant.
            near: a known box: only a window around it, and only sizes near its own, are searched.
        """
        if near is None:
            smallest = max(round(SMALLEST_SHARE * min(gray.shape)), 20)
            return self._search(gray, smallest, min(gray.shape), NEIGHBOURS)
        height, width = gray.shape
        window = near.grown(0.4, 0.4, 0.4, 0.4)
        x0, y0 = max(int(window.x0), 0), max(int(window.y0), 0)
        x1, y1 = min(int(window.x1) + 1, width), min(int(window.y1) + 1, height)
        if x1 - x0 < 20 or y1 - y0 < 20:
            return []
        part = gray[y0:y1, x0:x1]
        smallest, largest = max(round(0.75 * near.width), 20), round(1.33 * near.width)
        found = self._search(part, smallest, largest, NEAR_NEIGHBOURS)
        return [box.moved(x0, y0) for box in found]

    def _search(self, gray: Gray, smallest: int, largest: int, neighbours: int) -> list[Box]:
        found = self._cascade.detectMultiScale(
            gray,
            scaleFactor=1.1,
            minNeighbors=neighbours,
            minSize=(smallest, smallest),
            maxSize=(largest, largest),
        )
        boxes = [Box(float(x), float(y), float(x + w), float(y + h)) for x, y, w, h in found]
        return sorted(boxes, key=lambda box: (-box.area, box.x0, box.y0))


def small_gray(frame: Frame) -> tuple[Gray, float]:
    """A frame's luma at the size that is searched, and the factor that takes its boxes back to the frame."""
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    factor = max(min(gray.shape) / SEARCH_SIDE, 1.0)
    if factor > 1:
        size = (round(gray.shape[1] / factor), round(gray.shape[0] / factor))
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    return np.asarray(gray, dtype=np.uint8), factor
