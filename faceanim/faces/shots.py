"""Detection of shot changes: cuts from one frame to the next, and fades from one shot into another."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain, islice
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
CUT_NEIGHBORS = 5
"""Number of changes before and after a cut that tell it from motion, which changes several frames alike."""
MAX_REPEATED = 0.001
"""Largest change between a frame and its repetition, as in videos whose frame rate was raised.

It is a fraction of the range, like all changes. Repetitions do not count as neighbors.
"""
MIN_ABRUPTNESS = 3.0
"""Ratio to the second largest of the neighboring changes from which a change is a cut.

The largest may be another cut. The ratio is below 2.5 for real faces in motion, and still below 3 for 98 % of
their changes if only every other frame is shown; it is above 3 for 99.8 % of the cuts between real clips.
"""
MIN_PEAK = 1.4
"""Ratio, as above, from which a less abrupt change is a peak: larger than is usual in motion."""
MIN_UNEXPLAINED, MIN_UNEXPLAINED_PEAK = 0.65, 0.55
"""Fractions of a change from which it is a cut amid motion, the second one for a peak.

They are what is left of the change once the first frame is warped onto the second by their optical flow: at
most 0.5 for real faces in motion, and at least 0.65 for 98 % of the cuts between real clips.
"""
MAX_PENDING_BYTES = 192 * 2**20
"""Memory limit of the pending frames, in bytes.

Fewer frames are held if they are larger than 4K. The first frames of a fade may then be missed, and a cut has
fewer neighbors after it.
"""

_FINE, _COARSE = 128, 32
"""Sides of the thumbnails that are compared, in pixels.

The coarse ones measure how much has changed. A slow pan would look like a fade in them, because it moves the
image by less than one of their pixels.
"""

_GRID = np.stack(np.meshgrid(*[np.arange(_FINE, dtype=np.float32)] * 2), axis=-1)
"""Position (x, y) of each pixel of a fine thumbnail, (128, 128, 2)."""

Thumbnail = npt.NDArray[np.float32]
"""(side, side), brightness minus its mean."""


class _Thumbnails(NamedTuple):
    coarse: Thumbnail
    """(32, 32)."""
    fine: Thumbnail
    """(128, 128)."""
    gray: Plane
    """(128, 128), brightness in whole numbers, as optical flow needs it."""


class _Step(NamedTuple):
    thumbnails: _Thumbnails
    change: float
    """Mean difference from the previous frame, as a fraction of the range; 0 for the first frame."""


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
    is_fade: bool = False


def detect_shot_changes(
    frames: Iterable[DecodedFrame], threshold: float
) -> Iterator[tuple[DecodedFrame, ShotChange]]:
    """Yield each frame of a video with its shot change, up to `MAX_DELAY` frames late.

    Args:
        frames: consecutive frames of one size.
        threshold: mean change of brightness, as a fraction of its range, above which two neighboring frames
            are a cut unless the image moves, and frames twice `FADE_HALF_LENGTHS` apart may be the ends of a
            fade.
    """
    pending: deque[_PendingFrame] = deque()
    steps: deque[_Step] = deque(maxlen=2 * MAX_DELAY)  # the pending ones, and as many before them
    for frame in frames:
        steps.append(_measure_step(frame.luma, steps[-1] if steps else None))
        pending.append(_PendingFrame(frame))
        for half in FADE_HALF_LENGTHS:
            if _is_fade(steps, half, threshold):
                for in_fade in islice(reversed(pending), 1, 2 * half):
                    in_fade.is_fade = True
        while len(pending) >= MAX_DELAY or len(pending) * frame.nbytes > MAX_PENDING_BYTES:
            yield _pop_first(pending, steps, threshold)
    while pending:
        yield _pop_first(pending, steps, threshold)


def _pop_first(
    pending: deque[_PendingFrame], steps: Sequence[_Step], threshold: float
) -> tuple[DecodedFrame, ShotChange]:
    """Remove the first pending frame, and classify it by the frames around it."""
    index = len(steps) - len(pending)
    first = pending.popleft()
    if first.is_fade:
        return first.frame, ShotChange.FADE
    return first.frame, ShotChange.CUT if _is_cut(steps, index, threshold) else ShotChange.NONE


def _measure_step(luma: Plane, previous: _Step | None) -> _Step:
    thumbnails = _make_thumbnails(luma)
    if previous is None:
        return _Step(thumbnails, 0.0)
    return _Step(thumbnails, _mean_difference(previous.thumbnails.coarse, thumbnails.coarse))


def _make_thumbnails(luma: Plane) -> _Thumbnails:
    """Compute thumbnails of the brightness minus its mean, so that a change of exposure has no effect."""
    # Bilinear keeps it sharp: only four pixels contribute to one.
    gray = np.asarray(cv2.resize(luma, (_FINE, _FINE), interpolation=cv2.INTER_LINEAR), np.uint8)
    fine = _subtract_mean(gray)
    return _Thumbnails(_shrink(fine), fine, gray)


def _subtract_mean(image: Plane | Thumbnail) -> Thumbnail:
    return np.asarray(cv2.subtract(image, cv2.mean(image), dtype=cv2.CV_32F))


def _shrink(fine: Thumbnail) -> Thumbnail:
    return np.asarray(cv2.resize(fine, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA))


def _mean_difference(a: Thumbnail, b: Thumbnail) -> float:
    return float(cv2.norm(a, b, cv2.NORM_L1) / (255 * a.size))


def _is_cut(steps: Sequence[_Step], index: int, threshold: float) -> bool:
    """Check whether a step is large, and either abrupt or not explained by motion.

    The optical flow takes as long as the thumbnails of ten frames, hence its late turn.
    """
    change = steps[index].change
    if change <= threshold:
        return False
    typical = _second_largest_neighbor(steps, index)
    if change > MIN_ABRUPTNESS * typical:
        return True
    unexplained = _motion_residual(steps[index - 1].thumbnails, steps[index].thumbnails) / change
    return unexplained > (MIN_UNEXPLAINED_PEAK if change > MIN_PEAK * typical else MIN_UNEXPLAINED)


def _second_largest_neighbor(steps: Sequence[_Step], index: int) -> float:
    """Return the second largest of the changes around a step, 0 if there are fewer."""
    sides = range(index - 1, -1, -1), range(index + 1, len(steps))
    changes = ((steps[n].change for n in side if steps[n].change > MAX_REPEATED) for side in sides)
    neighbors = chain.from_iterable(islice(side, CUT_NEIGHBORS) for side in changes)
    return sorted([0.0, 0.0, *neighbors])[-2]


def _motion_residual(first: _Thumbnails, second: _Thumbnails) -> float:
    """Compute the mean difference that is left when the first frame is warped onto the second."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST).calc(second.gray, first.gray, None)
    warped = cv2.remap(first.fine, _GRID + flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return _mean_difference(_shrink(_subtract_mean(warped)), second.coarse)


def _is_fade(steps: Sequence[_Step], half: int, threshold: float) -> bool:
    """Check whether the frame `half` frames before the last one is in a fade."""
    if len(steps) <= 2 * half:
        return False
    first, middle, last = (steps[-1 - back].thumbnails for back in (2 * half, half, 0))
    if _mean_difference(first.coarse, last.coarse) <= threshold:
        return False
    mixture = np.asarray(cv2.addWeighted(first.fine, 0.5, last.fine, 0.5, 0))
    return _mean_difference(middle.fine, mixture) < MAX_FADE_RESIDUAL * _mean_difference(
        first.fine, last.fine
    )
