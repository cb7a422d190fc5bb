"""Viola-Jones face detection: the whole frame once, then only around where the face last was."""

from pathlib import Path

import cv2
import cv2.data
import numpy as np

from faceanim.media.boxes import Box
from faceanim.media.frames import Plane

SEARCH_SIDE = 240
"""Shorter side of the size at which whole frames are searched."""
COARSE_SIDE = 120
"""At this size a large face is found in a third of the time, 49 times of 50."""
MIN_FACE_FRACTION = 0.12
"""Smallest face searched, as a share of the frame's shorter side, so that upright videos lose nothing."""
MIN_NEIGHBORS = 5
"""Raw hits that a face needs in a whole-frame search; fewer give false faces, more lose real ones."""

NEAR_SIDE = 60
"""A known face is searched at a size at which it measures at most this."""
NEAR_MIN_NEIGHBORS = 3
"""Raw hits that a face needs near a known one, where a hit is likely a face."""
NEAR_MARGIN = 0.25
"""How far around a known face is searched, as a share of its side."""
NEAR_SCALES = 1.1, 1.2
"""How many times larger or smaller than the known one a face is searched, at first and where that finds
nothing: the second takes twice as long."""


class ViolaJones:
    """OpenCV's frontal-face cascade (Viola & Jones, 2001), which comes with OpenCV and needs no download."""

    def __init__(self) -> None:
        path = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"
        self._cascade = cv2.CascadeClassifier(str(path))

    def detect(
        self, luma: Plane, side: int = SEARCH_SIDE, smallest_share: float = MIN_FACE_FRACTION
    ) -> list[Box]:
        """All faces in an image, (H, W) uint8, the largest first (ties: leftmost, then topmost).

        Args:
            luma: the image's brightness.
            side: it is searched at a size whose shorter side is at most this.
            smallest_share: of the shorter side; smaller faces are not searched.
        """
        factor = min(side / min(luma.shape), 1.0)
        small = _shrink_luma(luma, factor)
        smallest = max(round(smallest_share * min(small.shape)), 20)
        return self._search(small, factor, smallest, min(small.shape), MIN_NEIGHBORS)

    def detect_near(self, luma: Plane, known: Box) -> list[Box]:
        """The faces about where, and about as large as, a known one; the order is that of `detect`."""
        height, width = luma.shape
        around = known.expand(NEAR_MARGIN, NEAR_MARGIN, NEAR_MARGIN, NEAR_MARGIN)
        x0, y0 = max(int(around.x0), 0), max(int(around.y0), 0)
        x1, y1 = min(int(around.x1) + 1, width), min(int(around.y1) + 1, height)
        factor = min(NEAR_SIDE / max(known.width, 1.0), 1.0)
        if min(x1 - x0, y1 - y0) * factor < 20:  # the cascade's own window
            return []
        part = _shrink_luma(luma[y0:y1, x0:x1], factor)
        side = known.width * factor
        for sizes in NEAR_SCALES:
            smallest, largest = max(round(side / sizes), 20), round(side * sizes)
            found = self._search(part, factor, smallest, largest, NEAR_MIN_NEIGHBORS)
            if found:
                break
        return [box.shift(x0, y0) for box in found]

    def _search(self, gray: Plane, factor: float, smallest: int, largest: int, neighbours: int) -> list[Box]:
        found = self._cascade.detectMultiScale(
            gray,
            scaleFactor=1.1,
            minNeighbors=neighbours,
            minSize=(smallest, smallest),
            maxSize=(largest, largest),
        )
        places = np.reshape(found, (-1, 4)).tolist()
        boxes = [Box(x, y, x + w, y + h).scale(1 / factor) for x, y, w, h in places]
        return sorted(boxes, key=lambda box: (-box.area, box.x0, box.y0))


def _shrink_luma(luma: Plane, factor: float) -> Plane:
    if factor >= 1:
        return np.ascontiguousarray(luma)
    size = (max(round(luma.shape[1] * factor), 1), max(round(luma.shape[0] * factor), 1))
    # Of many lines that make one, two or three tell enough.
    lines = luma[:: max(int(0.5 / factor), 1)]
    return np.asarray(cv2.resize(lines, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
