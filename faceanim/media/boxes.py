"""Bounding boxes in images."""

from collections.abc import Iterable
from typing import NamedTuple


class Box(NamedTuple):
    """A bounding box x0, y0, x1, y1 in pixels, with exclusive far edges."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Width in pixels; negative if the edges are swapped."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height in pixels; negative if the edges are swapped."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Width times height, in square pixels; 0 for an empty box."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    def scale(self, factor: float) -> "Box":
        """Multiply all coordinates by a factor: the same box in a resized image."""
        return Box(*(edge * factor for edge in self))

    def shift(self, dx: float, dy: float) -> "Box":
        """Move the box by (dx, dy) pixels."""
        return Box(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)

    def expand(self, left: float, top: float, right: float, bottom: float) -> "Box":
        """Move each side outwards by a fraction of the width or height."""
        width, height = self.width, self.height
        return Box(
            self.x0 - left * width, self.y0 - top * height, self.x1 + right * width, self.y1 + bottom * height
        )

    def contains(self, other: "Box") -> bool:
        """Check whether this box contains the other one."""
        return self.x0 <= other.x0 and self.y0 <= other.y0 and other.x1 <= self.x1 and other.y1 <= self.y1

    def contains_center_of(self, other: "Box") -> bool:
        """Check whether this box contains the center of the other one."""
        x, y = (other.x0 + other.x1) / 2, (other.y0 + other.y1) / 2
        return self.x0 <= x < self.x1 and self.y0 <= y < self.y1

    def iou(self, other: "Box") -> float:
        """Compute the intersection over union with the other box, in [0, 1]."""
        intersection = Box(
            max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1)
        ).area
        return intersection / (self.area + other.area - intersection) if intersection else 0.0


def enclosing_box(boxes: Iterable[Box]) -> Box:
    """Compute the smallest box that contains all boxes, of which there must be at least one."""
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return Box(min(x0), min(y0), max(x1), max(y1))


def interpolate_box(start: Box, end: Box, fraction: float) -> Box:
    """Interpolate linearly between two boxes: fraction 0 gives `start`, 1 gives `end`."""
    return Box(*(a + (b - a) * fraction for a, b in zip(start, end, strict=True)))
