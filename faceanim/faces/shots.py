"""Where one shot ends and the next begins: at once, in a cut, or in a fade from one picture to the other."""

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
"""A fade is looked for in frames so far before and behind its middle. It may be shorter, or as long as the
picture changes enough in that time: of fades over 25 frames nearly all are seen, of 37 three of four."""
MAX_DELAY = 2 * max(FADE_HALF_LENGTHS)
"""Frames by which a change may be told late."""
MAX_FADE_RESIDUAL = 0.2
"""In a fade the middle picture is half of both ends, up to this share of the change between them. What moves
is between its places, and not half in each: on real clips the share is above 0.27, in slow pans 0.25."""
MAX_PENDING_BYTES = 192 * 2**20
"""Of the frames held: of larger ones than 4K fewer are held, and the first ones of a fade may pass."""

_FINE, _COARSE = 128, 32
"""Sides of the thumbnails that are compared. The coarse ones tell how much has changed; in them a slow pan
looks like a fade, for it moves the picture by less than one of their pixels."""

Thumbnail = npt.NDArray[np.float32]


class _Thumbnails(NamedTuple):
    coarse: Thumbnail
    """(32, 32)."""
    fine: Thumbnail
    """(128, 128)."""


class ShotChange(Enum):
    """What a frame is to its shot."""

    NONE = auto()
    CUT = auto()
    """It is the first one of another shot."""
    FADE = auto()
    """It is between two shots, or close to that: where exactly a fade begins and ends is not seen."""


@dataclass
class _PendingFrame:
    picture: DecodedFrame
    change: ShotChange


def detect_shot_changes(
    pictures: Iterable[DecodedFrame], threshold: float
) -> Iterator[tuple[DecodedFrame, ShotChange]]:
    """Give each picture of a video with its change, some frames late.

    Args:
        pictures: consecutive frames of one size.
        threshold: mean change of brightness, as a share of its range, that makes a cut from one frame to
            the next, and a fade over twice `HALF_FADES` frames.
    """
    held: deque[_PendingFrame] = deque()
    thumbnails: deque[_Thumbnails] = deque(maxlen=MAX_DELAY + 1)
    for picture in pictures:
        thumbnails.append(_make_thumbnails(picture.luma))
        held.append(
            _PendingFrame(picture, ShotChange.CUT if _is_cut(thumbnails, threshold) else ShotChange.NONE)
        )
        for half in FADE_HALF_LENGTHS:
            if _is_fade(thumbnails, half, threshold):
                for each in islice(reversed(held), 1, 2 * half):
                    each.change = ShotChange.FADE
        while len(held) >= MAX_DELAY or len(held) * picture.nbytes > MAX_PENDING_BYTES:
            first = held.popleft()
            yield first.picture, first.change
    yield from ((each.picture, each.change) for each in held)


def _make_thumbnails(luma: Plane) -> _Thumbnails:
    """What tells whether the picture changes, other than in exposure: brightness about its mean."""
    fine = cv2.resize(luma, (_FINE, _FINE), interpolation=cv2.INTER_LINEAR)  # sharp: four pixels make one
    fine = cv2.subtract(fine, cv2.mean(fine), dtype=cv2.CV_32F)
    coarse = cv2.resize(fine, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
    return _Thumbnails(np.asarray(coarse), np.asarray(fine))


def _mean_difference(one: Thumbnail, other: Thumbnail) -> float:
    return float(cv2.norm(one, other, cv2.NORM_L1) / (255 * one.size))


def _is_cut(thumbnails: deque[_Thumbnails], threshold: float) -> bool:
    return len(thumbnails) > 1 and _mean_difference(thumbnails[-2].coarse, thumbnails[-1].coarse) > threshold


def _is_fade(thumbnails: deque[_Thumbnails], half: int, threshold: float) -> bool:
    """Whether the frame that many before the last one lies in a fade."""
    if len(thumbnails) <= 2 * half:
        return False
    before, middle, behind = thumbnails[-1 - 2 * half], thumbnails[-1 - half], thumbnails[-1]
    if _mean_difference(before.coarse, behind.coarse) <= threshold:
        return False
    mixture = np.asarray(cv2.addWeighted(before.fine, 0.5, behind.fine, 0.5, 0))
    return _mean_difference(middle.fine, mixture) < MAX_FADE_RESIDUAL * _mean_difference(
        before.fine, behind.fine
    )
