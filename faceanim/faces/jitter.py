"""How much landmarks tremble where the picture stands still."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from faceanim.data.pictures import Frame, Plane
from faceanim.faces.detectors import Points

THUMBNAIL = (16, 16)
STILL = 4
"""Two frames are still where no pixel of their thumbnails differs by as much, of 255. Not the mean of them: a
blink or a moving mouth changes little of a picture, and moves the landmarks rightly."""


@dataclass(frozen=True)
class Jitter:
    """A sum of jitters, from which the mean over several crops can be had.

    Attributes:
        total: pixels.
        frames: how many frames it is the sum of.
    """

    total: float
    frames: int


def thumbnail(image: Frame | Plane) -> Plane:
    """A frame's brightness, (16, 16): what tells whether the picture moves."""
    luma = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(luma, THUMBNAIL, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def jitter(points: Points, thumbnails: npt.NDArray[np.uint8]) -> Jitter:
    """The mean |p[t-1] - 2 p[t] + p[t+1]| of a frame's landmarks, added up over a crop's still frames.

    A frame counts where it and both its neighbours have landmarks, and the picture is still from one to the
    other. Second differences leave out what even motion there is.

    Args:
        points: (N, P, 2), the landmarks of consecutive frames, NaN where there are none.
        thumbnails: (N, 16, 16), see `thumbnail`.
    """
    change = np.abs(np.diff(thumbnails.astype(np.int16), axis=0)).max(axis=(1, 2))
    still = change < STILL
    trembling = np.linalg.norm(points[2:] - 2 * points[1:-1] + points[:-2], axis=2).mean(axis=1)
    counted = trembling[still[1:] & still[:-1] & np.isfinite(trembling)]
    return Jitter(float(counted.sum(dtype=np.float64)), len(counted))
