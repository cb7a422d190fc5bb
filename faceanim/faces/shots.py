"""Detection of shot changes: cuts from one frame to the next, and fades from one shot into another."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from faceanim.media.frames import DecodedFrame, Plane

FADE_HALF_LENGTHS = 4, 8
"""Distances in frames, before and after the middle of a fade, at which its ends are compared.

A fade may be shorter than twice the distance, or longer if the image changes enough in that time. Nearly all
fades over 25 frames are detected, and three of four fades over 37 frames.
"""
MAX_DELAY = 2 * max(FADE_HALF_LENGTHS)
"""Longest delay of the output, in frames."""
MAX_FADE_RESIDUAL = 0.2
"""Largest difference between the middle frame of a fade and the mean of its ends.

It is relative to the difference between the ends. Moving content is between its two end positions
rather than half in each of them: the ratio is above 0.27 on real clips, and 0.25 in slow pans.
"""
MAX_PENDING_BYTES = 192 * 2**20
"""Memory limit of the pending frames, in bytes.

Fewer frames are held if they are larger than 4K, and the first frames of a fade may then be missed.
"""

_FINE, _COARSE = 128, 32
"""Sides of the thumbnails that are compared, in pixels.

The coarse ones measure how much has changed. A slow pan would look like a fade in them, because it moves the
image by less than one of their pixels.
"""

Thumbnail = npt.NDArray[np.float32]
"""(side, side), brightness minus its mean."""


class _Thumbnails(NamedTuple):
    coarse: Thumbnail
    """(32, 32)."""
    fine: Thumbnail
    """(128, 128)."""


class ShotChange(Enum):
    """Relation of a frame to its shot."""

    NONE = auto()
    """Frame within a shot."""
    CUT = auto()
    """First frame of a new shot."""
    FADE = auto()
    """Frame between two shots, or close to it: the exact start and end of a fade are not detected."""


@dataclass
class _PendingFrame:
    frame: DecodedFrame
    change: ShotChange


def detect_shot_changes(
    frames: Iterable[DecodedFrame], threshold: float
) -> Iterator[tuple[DecodedFrame, ShotChange]]:
    """Yield each frame of a video with its shot change, up to `MAX_DELAY` frames late.

    Args:
        frames: consecutive frames of one size.
        threshold: mean change of brightness, as a fraction of its range, above which two neighboring frames
            are a cut, and frames twice `FADE_HALF_LENGTHS` apart may be the ends of a fade.
    """
    pending: deque[_PendingFrame] = deque()
    thumbnails: deque[_Thumbnails] = deque(maxlen=MAX_DELAY + 1)
    for frame in frames:
        thumbnails.append(_make_thumbnails(frame.luma))
        pending.append(
            _PendingFrame(frame, ShotChange.CUT if _is_cut(thumbnails, threshold) else ShotChange.NONE)
        )
        for half in FADE_HALF_LENGTHS:
            if _is_fade(thumbnails, half, threshold):
                for in_fade in islice(reversed(pending), 1, 2 * half):
                    in_fade.change = ShotChange.FADE
        while len(pending) >= MAX_DELAY or len(pending) * frame.nbytes > MAX_PENDING_BYTES:
            first = pending.popleft()
            yield first.frame, first.change
    yield from ((item.frame, item.change) for item in pending)


def _make_thumbnails(luma: Plane) -> _Thumbnails:
    """Compute thumbnails of the brightness minus its mean, so that a change of exposure has no effect."""
    # Bilinear keeps it sharp: only four pixels contribute to one.
    fine = cv2.resize(luma, (_FINE, _FINE), interpolation=cv2.INTER_LINEAR)
    fine = cv2.subtract(fine, cv2.mean(fine), dtype=cv2.CV_32F)
    coarse = cv2.resize(fine, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
    return _Thumbnails(np.asarray(coarse), np.asarray(fine))


def _mean_difference(a: Thumbnail, b: Thumbnail) -> float:
    return float(cv2.norm(a, b, cv2.NORM_L1) / (255 * a.size))


def _is_cut(thumbnails: deque[_Thumbnails], threshold: float) -> bool:
    return len(thumbnails) > 1 and _mean_difference(thumbnails[-2].coarse, thumbnails[-1].coarse) > threshold


def _is_fade(thumbnails: deque[_Thumbnails], half: int, threshold: float) -> bool:
    """Check whether the frame `half` frames before the last one is in a fade."""
    if len(thumbnails) <= 2 * half:
        return False
    first, middle, last = thumbnails[-1 - 2 * half], thumbnails[-1 - half], thumbnails[-1]
    if _mean_difference(first.coarse, last.coarse) <= threshold:
        return False
    mixture = np.asarray(cv2.addWeighted(first.fine, 0.5, last.fine, 0.5, 0))
    return _mean_difference(middle.fine, mixture) < MAX_FADE_RESIDUAL * _mean_difference(
        first.fine, last.fine
    )
