"""Boxes in images."""

from collections.abc import Iterable
from typing import NamedTuple


class Box(NamedTuple):
    """x0, y0, x1, y1 in pixels, the far edges exclusive."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """x1 - x0."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """y1 - y0."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Width times height; 0 where the box is empty."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    def scale(self, factor: float) -> "Box":
        """All coordinates times a factor: the same box in a resized image."""
        return Box(*(edge * factor for edge in self))

    def shift(self, dx: float, dy: float) -> "Box":
        """The box shifted."""
        return Box(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)

    def expand(self, left: float, top: float, right: float, bottom: float) -> "Box":
        """The box with each side moved outwards by a share of its width or height."""
        width, height = self.width, self.height
        return Box(
            self.x0 - left * width, self.y0 - top * height, self.x1 + right * width, self.y1 + bottom * height
        )

    def contains(self, other: "Box") -> bool:
        """Whether the other box lies in this one."""
        return self.x0 <= other.x0 and self.y0 <= other.y0 and other.x1 <= self.x1 and other.y1 <= self.y1

    def contains_center_of(self, other: "Box") -> bool:
        """Whether the other box has its middle in this one."""
        x, y = (other.x0 + other.x1) / 2, (other.y0 + other.y1) / 2
        return self.x0 <= x < self.x1 and self.y0 <= y < self.y1

    def iou(self, other: "Box") -> float:
        """Intersection over union, 0 to 1."""
        common = Box(
            max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1)
        ).area
        return common / (self.area + other.area - common) if common else 0.0


def enclosing_box(boxes: Iterable[Box]) -> Box:
    """The smallest box that holds them all; at least one is needed."""
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return Box(min(x0), min(y0), max(x1), max(y1))


def interpolate_box(start: Box, end: Box, share: float) -> Box:
    """The box that far on the way from one to another: 0 gives the first, 1 the second."""
    return Box(*(a + (b - a) * share for a, b in zip(start, end, strict=True)))
