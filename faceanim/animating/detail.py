"""Animating at the photograph's own resolution: what moves keeps the detail that it has there.

A prediction is the warped source and what the generator paints over it (eq. 2). Both may be had at any size:
the deformation is smooth, so its enlargement warps the photograph itself, and only what is painted comes from
the small frame.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from faceanim.animating.points import Floats
from faceanim.data.pictures import Frame


@dataclass(frozen=True)
class Changes:
    """What becomes of the portrait in N frames.

    Attributes:
        deformation: F_n, (N, h, w, 2) float32, x then y in [-1, 1]: where in the portrait each pixel comes
            from, -1 and 1 being the centres of the outermost pixels.
        painted: (N, S, S, 3) float32 in [-1, 1], (1 - M_n) (R_n - E_n): what is added to the warped portrait.
    """

    deformation: Floats
    painted: Floats


def at_full_size(photograph: Frame, deformation: Floats, painted: Floats) -> Frame:
    """One animated frame of the size of the photograph.

    Args:
        photograph: the portrait, (H, H, 3) uint8 RGB.
        deformation: one frame's, (h, w, 2).
        painted: one frame's, (S, S, 3).

    Returns:
        (H, H, 3) uint8 RGB.
    """
    side = photograph.shape[0]
    pixels = (_enlarged(deformation, side) + 1) * np.float32((side - 1) / 2)
    warped = cv2.remap(photograph, pixels, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    added = cv2.resize(painted, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.rint(warped + 255 * added).clip(0, 255), np.uint8)


def _enlarged(grid: Floats, side: int) -> Floats:
    """A grid (h, w, 2) bilinearly to (side, side, 2), its ends in place.

    OpenCV's resizing would move the ends, and its warps know 32 places between two of the grid's points.
    """
    down, across = _between(grid.shape[0], side), _between(grid.shape[1], side)
    return np.asarray(np.einsum("yh,hwc,xw->yxc", down, grid, across, optimize=True), np.float32)


def _between(count: int, side: int) -> Floats:
    """What each of `count` points weighs in each of `side` places along them: (side, count)."""
    places = np.linspace(0, count - 1, side, dtype=np.float32)[:, None]
    weights = np.maximum(0, 1 - np.abs(places - np.arange(count, dtype=np.float32)))
    return np.asarray(weights, np.float32)
