"""The pictures around the face that is being followed, kept until it is known how they are to be cut out."""

from collections import deque
from fractions import Fraction
from itertools import takewhile
from typing import NamedTuple

from faceanim.data.pictures import Memory, Picture
from faceanim.faces.boxes import Box
from faceanim.faces.framing import crop_box

MAX_BYTES = 512 * 2**20
"""More is not kept, however large the frames and long the sequence: its first frames are then read again."""
ROOM = 0.2
"""What is kept beyond the crop that the faces so far would give, as a share of its side."""


class _Kept(NamedTuple):
    number: int
    window: Box
    picture: Picture


class KeptPictures:
    """The windows of a sequence's frames in which its crop will lie, most likely.

    A sequence's one box is known when it ends. To keep whole frames until then takes gigabytes, to decode
    the video twice the most part of the time.
    """

    def __init__(self, margin: float, frame_size: tuple[int, int]) -> None:
        """Keep for crops of that margin, in frames of that width and height."""
        self._margin = margin
        self._frame_size = frame_size
        self._faces: Box | None = None
        self._window = Box(0, 0, 0, 0)
        self._memory = Memory()
        self._kept: deque[_Kept] = deque()
        self._bytes = 0
        self._times: dict[int, Fraction | None] = {}

    def add(self, number: int, picture: Picture, faces: Box | None) -> None:
        """Keep what may be needed of a frame; `faces` holds its sequence's so far (None: no sequence)."""
        if faces is None:
            self.drop(number)
            self._faces, self._window = None, Box(0, 0, 0, 0)
            return
        if faces != self._faces:
            self._faces = faces
            crop = self._in_frame(crop_box([faces], self._margin, self._frame_size))
            if not self._window.holds(crop):
                self._window = self._in_frame(_even(crop.grown(ROOM, ROOM, ROOM, ROOM)))
        self._times[number] = picture.time
        part = picture.window(self._window).copy(self._memory)
        self._kept.append(_Kept(number, self._window, part))
        self._bytes += part.nbytes
        while self._bytes > MAX_BYTES:
            self._drop_first()

    def drop(self, last: int) -> None:
        """Let go of the frames up to number `last`."""
        self._times = {number: time for number, time in self._times.items() if number > last}
        while self._kept and self._kept[0].number <= last:
            self._drop_first()

    def _drop_first(self) -> None:
        self._bytes -= self._kept.popleft().picture.nbytes

    def time(self, number: int) -> Fraction | None:
        """When a frame of the sequence is shown, kept or not; see `Picture`."""
        return self._times[number]

    def find(self, first: int, last: int, crop: Box) -> list[tuple[Picture, Box]]:
        """Pictures of the frames from `first` to `last`, each with the crop's place in it.

        Those before the last one that was not kept, or not enough of it, are left out.
        """
        needed = self._in_frame(crop)
        frames = [kept for kept in self._kept if first <= kept.number <= last]
        found = list(takewhile(lambda kept: kept.window.holds(needed), reversed(frames)))
        return [(kept.picture, crop.moved(-kept.window.x0, -kept.window.y0)) for kept in reversed(found)]

    def _in_frame(self, box: Box) -> Box:
        width, height = self._frame_size
        return Box(max(box.x0, 0), max(box.y0, 0), min(box.x1, width), min(box.y1, height))


def _even(box: Box) -> Box:
    """The box in even whole pixels, as the planes of colour want it."""
    return Box(*(2.0 * (edge // 2) for edge in box))
