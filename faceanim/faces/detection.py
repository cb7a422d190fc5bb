"""Viola-Jones face detection in whole frames, or faster in the neighborhood of a known face."""

from pathlib import Path

import cv2
import cv2.data
import numpy as np

from faceanim.media.boxes import Box
from faceanim.media.frames import Plane

SEARCH_SIDE = 240
"""Shorter side in pixels to which frames are shrunk for a whole-frame search."""
COARSE_SIDE = 120
"""Shorter side in pixels for a coarse search, which finds 49 of 50 large faces in a third of the time."""
MIN_FACE_FRACTION = 0.12
"""Smallest face searched for, as a fraction of the shorter side, so that vertical videos lose no face."""
MIN_NEIGHBORS = 5
"""Raw hits required for a face in a whole-frame search: fewer give false positives, more lose true faces."""

NEAR_SIDE = 60
"""Width in pixels to which a known face is shrunk, if it is larger, for a search near it."""
NEAR_MIN_NEIGHBORS = 3
"""Raw hits required for a face near a known one, where a hit is likely a face."""
NEAR_MARGIN = 0.25
"""Margin of the search area around a known face, as a fraction of its side."""
NEAR_SCALES = 1.1, 1.2
"""Largest size ratios to the known face, in either direction, of the first and the second search.

The second search runs if the first finds nothing; it takes twice as long.
"""


class ViolaJones:
    """OpenCV's frontal-face cascade (Viola & Jones, 2001), bundled with OpenCV and available offline."""

    def __init__(self) -> None:
        path = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"
        self._cascade = cv2.CascadeClassifier(str(path))

    def detect(
        self, luma: Plane, side: int = SEARCH_SIDE, min_face_fraction: float = MIN_FACE_FRACTION
    ) -> list[Box]:
        """Detect all faces in an image.

        Args:
            luma: (H, W), uint8, brightness of the image.
            side: shorter side in pixels to which a larger image is shrunk for the search.
            min_face_fraction: smallest face searched for, as a fraction of the shorter side.

        Returns:
            Boxes in pixels of the image, sorted from largest to smallest (ties: leftmost, then topmost).
        """
        factor = min(side / min(luma.shape), 1.0)
        small = _shrink_luma(luma, factor)
        smallest = max(round(min_face_fraction * min(small.shape)), 20)
        return self._search(small, factor, smallest, min(small.shape), MIN_NEIGHBORS)

    def detect_near(self, luma: Plane, last_box: Box) -> list[Box]:
        """Detect faces of about the position and size of a known one, in the order of `detect`."""
        height, width = luma.shape
        area = last_box.expand(NEAR_MARGIN, NEAR_MARGIN, NEAR_MARGIN, NEAR_MARGIN)
        x0, y0 = max(int(area.x0), 0), max(int(area.y0), 0)
        x1, y1 = min(int(area.x1) + 1, width), min(int(area.y1) + 1, height)
        factor = min(NEAR_SIDE / max(last_box.width, 1.0), 1.0)
        if min(x1 - x0, y1 - y0) * factor < 20:  # side of the cascade's window
            return []
        part = _shrink_luma(luma[y0:y1, x0:x1], factor)
        side = last_box.width * factor
        for ratio in NEAR_SCALES:
            smallest, largest = max(round(side / ratio), 20), round(side * ratio)
            boxes = self._search(part, factor, smallest, largest, NEAR_MIN_NEIGHBORS)
            if boxes:
                break
        return [box.shift(x0, y0) for box in boxes]

    def _search(
        self, gray: Plane, factor: float, smallest: int, largest: int, min_neighbors: int
    ) -> list[Box]:
        detections = self._cascade.detectMultiScale(
            gray,
            scaleFactor=1.1,
            minNeighbors=min_neighbors,
            minSize=(smallest, smallest),
            maxSize=(largest, largest),
        )
        rectangles = np.reshape(detections, (-1, 4)).tolist()
        boxes = [Box(x, y, x + w, y + h).scale(1 / factor) for x, y, w, h in rectangles]
        return sorted(boxes, key=lambda box: (-box.area, box.x0, box.y0))


def _shrink_luma(luma: Plane, factor: float) -> Plane:
    if factor >= 1:
        return np.ascontiguousarray(luma)
    size = (max(round(luma.shape[1] * factor), 1), max(round(luma.shape[0] * factor), 1))
    # Of the many lines that are averaged into one, two or three are enough.
    lines = luma[:: max(int(0.5 / factor), 1)]
    return np.asarray(cv2.resize(lines, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
