"""Following a face through a video, and where one sequence ends and the next begins (paper, section 4).

A box is found in a sequence's first frame and the face followed until it has moved too far from there; then
the same again from that frame on, to the video's end. One pass, one frame in memory.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from faceanim.config import CropConfig
from faceanim.data.video import Frame
from faceanim.faces.boxes import Box
from faceanim.faces.detect import Gray, ViolaJones, small_gray
from faceanim.schemas import EndReason

MAX_MISSED = 12
"""Frames in a row without a detection that are bridged with the last box; more, and the face is lost."""
SEARCH_EVERY = 5
"""While no face is known, each frame of this many is searched whole."""
THUMBNAIL = (64, 64)


@dataclass
class Stretch:
    """Consecutive frames of a video: a sequence that follows one face, or frames without one.

    Attributes:
        first: its first frame, counted from where reading began.
        last: its last frame.
        boxes: the face in each frame, in the frame's pixels; empty where there is no face.
        found: frames in which the detector saw the face; in the others its last box is carried on.
        end_reason: what ended the sequence; None where there is no face.
    """

    first: int
    last: int
    boxes: list[Box] = field(default_factory=list)
    found: int = 0
    end_reason: EndReason | None = None


class Follower:
    """Finds a face and follows it, frame by frame."""

    def __init__(self, hint: Box | None = None) -> None:
        """Follow the largest face; with a hint (in the frames' pixels), the one that overlaps it best."""
        self._detector = ViolaJones()
        self._hint = hint
        self._box: Box | None = None
        self._missed = 0

    def start(self, gray: Gray, factor: float) -> Box | None:
        """Search the whole frame for the face to follow, and forget the one that was followed."""
        found = [box.scaled(factor) for box in self._detector.detect(gray)]
        if self._hint is not None and found:
            found = [max(found, key=self._hint.iou)]
        self._box, self._missed = (found[0] if found else None), 0
        return self._box

    def step(self, gray: Gray, factor: float) -> Box | None:
        """The followed face in the next frame: near where it was, and once in a while anywhere."""
        last = self._box
        if last is None:
            raise ValueError("no face is being followed; call start first")
        found = self._detector.detect(gray, near=last.scaled(1 / factor))
        if not found and self._missed % SEARCH_EVERY == SEARCH_EVERY - 1:
            found = self._detector.detect(gray)
        if not found:
            self._missed += 1
            return None
        self._missed = 0
        self._box = max((box.scaled(factor) for box in found), key=last.iou)
        return self._box


class _Tracker:
    """Cuts a run of frames into stretches, as they come."""

    def __init__(self, config: CropConfig, hint: Box | None) -> None:
        self._config = config
        self._follower = Follower(hint)
        self._thumbnail: Gray | None = None
        self._number = -1
        self._sequence: Stretch | None = None
        self._missed = 0
        self._gap: int | None = None  # first frame of the stretch without a face

    def push(self, frame: Frame) -> Iterator[Stretch]:
        """Take the next frame, and give the stretches that it ends."""
        self._number += 1
        gray, factor = small_gray(frame)
        cut = self._is_cut(gray)
        if cut:
            yield from self._end_sequence(self._number - 1, EndReason.CUT)
        if self._sequence is None:
            yield from self._look(gray, factor, at_once=cut)
        else:
            yield from self._follow(self._sequence, gray, factor)

    def finish(self) -> Iterator[Stretch]:
        """Give what the video's end ends."""
        yield from self._end_sequence(self._number, EndReason.END)
        yield from self._end_gap(self._number)

    def _is_cut(self, gray: Gray) -> bool:
        """Whether the picture has changed too much since the last frame."""
        before = self._thumbnail
        small = cv2.resize(gray, THUMBNAIL, interpolation=cv2.INTER_AREA)
        self._thumbnail = np.asarray(small, dtype=np.uint8)
        if before is None:
            return False
        return bool(cv2.absdiff(self._thumbnail, before).mean() / 255 > self._config.cut_threshold)

    def _look(self, gray: Gray, factor: float, at_once: bool) -> Iterator[Stretch]:
        """Search for a face to begin a sequence with."""
        if self._gap is None:
            self._gap = self._number
        if at_once or (self._number - self._gap) % SEARCH_EVERY == 0:
            box = self._follower.start(gray, factor)
            if box is not None:
                yield from self._begin(box)

    def _begin(self, box: Box) -> Iterator[Stretch]:
        yield from self._end_gap(self._number - 1)
        self._sequence = Stretch(self._number, self._number, [box], found=1)
        self._missed = 0

    def _follow(self, sequence: Stretch, gray: Gray, factor: float) -> Iterator[Stretch]:
        """Take the frame into the sequence, or end that and begin another."""
        full = len(sequence.boxes) == self._config.max_frames
        box = self._follower.step(gray, factor)
        if full or (box is not None and box.iou(sequence.boxes[0]) < self._config.min_iou):
            yield from self._end_sequence(self._number - 1, EndReason.MAX_FRAMES if full else EndReason.DRIFT)
            yield from self._look(gray, factor, at_once=True)
        elif box is not None:
            sequence.boxes.append(box)
            sequence.last, sequence.found, self._missed = self._number, sequence.found + 1, 0
        elif self._missed == MAX_MISSED:
            yield from self._end_sequence(self._number, EndReason.LOST)
        else:
            sequence.boxes.append(sequence.boxes[-1])
            sequence.last, self._missed = self._number, self._missed + 1

    def _end_sequence(self, last: int, reason: EndReason) -> Iterator[Stretch]:
        """End the sequence, if there is one, at the last frame in which the face was seen."""
        sequence, missed = self._sequence, self._missed
        if sequence is None:
            return
        if missed:
            del sequence.boxes[-missed:]
        sequence.last = sequence.first + len(sequence.boxes) - 1
        sequence.end_reason = reason
        self._sequence, self._missed = None, 0
        self._gap = sequence.last + 1 if sequence.last < last else None
        yield sequence

    def _end_gap(self, last: int) -> Iterator[Stretch]:
        if self._gap is not None and self._gap <= last:
            yield Stretch(self._gap, last)
        self._gap = None


def track(frames: Iterable[Frame], config: CropConfig, hint: Box | None = None) -> Iterator[Stretch]:
    """Cut a video into stretches, in order, such that every frame is in exactly one.

    A sequence ends where its face overlaps the first box by less than `config.min_iou` (drift), at a cut,
    when the face is lost, after `config.max_frames`, or with the video.

    Args:
        frames: (H, W, 3) RGB uint8, all of one size.
        config: the limits above; length and size of a sequence are not judged here.
        hint: the box of the face meant, among several.
    """
    tracker = _Tracker(config, hint)
    for frame in frames:
        yield from tracker.push(frame)
    yield from tracker.finish()


def follow(frames: Iterable[Frame]) -> list[Box]:
    """The box of one face in each frame of a whole video, however far it goes.

    Where the face is missed, its last box stands in; before it is first seen, its first one.

    Returns:
        a box for each frame, or an empty list where no frame has a face.
    """
    follower = Follower()
    boxes: list[Box | None] = []
    for frame in frames:
        gray, factor = small_gray(frame)
        last = boxes[-1] if boxes else None
        if last is None:
            boxes.append(follower.start(gray, factor))
        else:
            boxes.append(follower.step(gray, factor) or last)
    first = next((box for box in boxes if box is not None), None)
    return [] if first is None else [box or first for box in boxes]
