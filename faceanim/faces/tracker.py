"""Following a face through a video, and where one sequence ends and the next begins (paper, section 4).

A box is found in a sequence's first frame and the face followed until it has moved too far from there; then
the same again from that frame on, to the video's end. One pass, one frame in memory. Viola-Jones, which is
slow, looks at every fourth frame, near the last box, and the boxes between are interpolated.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from faceanim.config import CropConfig
from faceanim.faces.detection import COARSE_SIDE, SEARCH_SIDE, ViolaJones
from faceanim.faces.shots import ShotChange
from faceanim.media.boxes import Box, enclosing_box, interpolate_box
from faceanim.media.frames import Plane
from faceanim.schemas import EndReason

TRACK_EVERY = 4
"""A followed face is searched in each frame of this many."""
SEARCH_EVERY = 5
"""While no face is known, each frame of this many is searched whole."""
MAX_MISSED = 12
"""Frames without a detection that are bridged; more, and the face is lost."""
SAME_FACE_IOU = 0.3
"""A face that overlaps the one before by less has not moved there: it is another one."""


@dataclass
class Segment:
    """Consecutive frames of a video: a sequence that follows one face, or a gap (no face, or a fade).

    Attributes:
        first: its first frame, counted from where reading began.
        last: its last frame.
        boxes: the face in each frame, in the frame's pixels; empty where there is no face.
        seen: whether the detector saw it there or in the searched frames around; else it was bridged.
        end_reason: what ended the sequence; None where there is no face.
        is_fade: whether the frames lie between two shots.
    """

    first: int
    last: int
    boxes: list[Box] = field(default_factory=list)
    seen: list[bool] = field(default_factory=list)
    end_reason: EndReason | None = None
    is_fade: bool = False


class FaceTracker:
    """Finds a face and follows it from picture to picture."""

    def __init__(self, hint: Box | None = None) -> None:
        """Follow the largest face; with a hint (in the frames' pixels), the one in it that fills it best."""
        self._detector = ViolaJones()
        self._hint = hint
        self._box: Box | None = None
        self._missed = 0

    def start(self, luma: Plane) -> Box | None:
        """Search the whole frame for the face to follow, and forget the one that was followed."""
        found = self._search(luma)
        self._box, self._missed = (found[0] if found else None), 0
        return self._box

    def step(self, luma: Plane) -> Box | None:
        """The followed face in a later frame: near where it was, and once in a while anywhere."""
        last = self._box
        if last is None:
            raise ValueError("no face is being followed; call start first")
        found = self._detector.detect_near(luma, last)
        if not found and self._missed % SEARCH_EVERY == 0:
            found = self._search(luma)
        if not found:
            self._missed += 1
            return None
        self._missed = 0
        self._box = max(found, key=last.iou)
        return self._box

    def _search(self, luma: Plane) -> list[Box]:
        """The faces in the whole frame that may be the one to follow, the likeliest first."""
        for side in (COARSE_SIDE, SEARCH_SIDE):
            found = self._meant(self._detector.detect(luma, side))
            if found:
                return found
        return []

    def _meant(self, faces: list[Box]) -> list[Box]:
        hint = self._hint
        if hint is None:
            return faces
        return sorted((face for face in faces if hint.contains_center_of(face)), key=hint.iou, reverse=True)


class Segmenter:
    """Cuts a run of frames into stretches, as they come, such that every frame is in exactly one.

    A sequence ends where its face overlaps the first box by less than `config.min_iou` (drift), with its
    shot, when the face is lost, after `config.max_frames`, or with the video. Its length and size are not
    judged here.
    """

    def __init__(self, config: CropConfig, hint: Box | None = None) -> None:
        """Follow the largest face, or the one in the box `hint`, in the frames' pixels."""
        self._config = config
        self._follower = FaceTracker(hint)
        self._number = -1
        self._sequence: Segment | None = None  # up to the last frame in which the face was searched and seen
        self._faces: Box | None = None
        self._missed = False  # whether it has been searched in vain since
        self._gap: Segment | None = None

    @property
    def faces(self) -> Box | None:
        """The smallest box around the faces of the sequence so far, where there is one."""
        return self._faces

    def push(self, luma: Plane, change: ShotChange = ShotChange.NONE) -> Iterator[Segment]:
        """Take the brightness of the next frame, and give the stretches that it ends."""
        self._number += 1
        if change is not ShotChange.NONE:
            yield from self._end_sequence(self._number - 1, EndReason.CUT)
        is_fade = change is ShotChange.FADE
        if self._gap is not None and self._gap.is_fade != is_fade:
            yield from self._end_gap(self._number - 1)
        if is_fade:
            self._gap = self._gap or Segment(self._number, self._number, is_fade=True)
        elif self._sequence is None:
            yield from self._look(luma, at_once=change is ShotChange.CUT)
        else:
            yield from self._follow(self._sequence, luma)

    def finish(self) -> Iterator[Segment]:
        """Give what the video's end ends."""
        yield from self._end_sequence(self._number, EndReason.END)
        yield from self._end_gap(self._number)

    def _look(self, luma: Plane, at_once: bool) -> Iterator[Segment]:
        """Search for a face to begin a sequence with."""
        if self._gap is None:
            self._gap = Segment(self._number, self._number)
        if at_once or (self._number - self._gap.first) % SEARCH_EVERY == 0:
            box = self._follower.start(luma)
            if box is not None:
                yield from self._begin(box)

    def _begin(self, box: Box) -> Iterator[Segment]:
        yield from self._end_gap(self._number - 1)
        self._sequence = Segment(self._number, self._number, [box], [True])
        self._faces, self._missed = box, False

    def _follow(self, sequence: Segment, luma: Plane) -> Iterator[Segment]:
        """Take the frame into the sequence, or end that and begin another."""
        waiting = self._number - sequence.last
        is_full = self._number - sequence.first == self._config.max_frames
        if not is_full and not self._missed and waiting < TRACK_EVERY:
            return
        box = self._follower.step(luma)
        if is_full:
            yield from self._end_sequence(self._number - 1, EndReason.MAX_FRAMES)
            yield from self._look(luma, at_once=True) if box is None else self._begin(box)
        elif box is None:
            self._missed = True
            if waiting > MAX_MISSED:
                yield from self._end_sequence(self._number, EndReason.LOST)
        elif box.iou(sequence.boxes[-1]) < SAME_FACE_IOU:
            yield from self._end_sequence(self._number - 1, EndReason.LOST)
            yield from self._begin(box)
        else:
            yield from self._take(sequence, box)

    def _take(self, sequence: Segment, box: Box) -> Iterator[Segment]:
        """Carry the sequence on to this frame, with the face at `box`, and end it where it has drifted."""
        steps = self._number - sequence.last
        boxes = [interpolate_box(sequence.boxes[-1], box, step / steps) for step in range(1, steps + 1)]
        seen = [not self._missed] * (steps - 1) + [True]
        start, self._missed = sequence.boxes[0], False
        kept = next((n for n, box in enumerate(boxes) if box.iou(start) < self._config.min_iou), steps)
        sequence.boxes += boxes[:kept]
        sequence.seen += seen[:kept]
        sequence.last += kept
        self._faces = enclosing_box([self._faces or box, *boxes])
        if kept < steps:
            sequence.end_reason = EndReason.DRIFT
            self._sequence = Segment(sequence.last + 1, self._number, boxes[kept:], seen[kept:])
            self._faces = enclosing_box(boxes[kept:])
            yield sequence

    def _end_sequence(self, last: int, reason: EndReason) -> Iterator[Segment]:
        """End the sequence, if there is one, at frame `last`, or where the face was seen last."""
        sequence = self._sequence
        if sequence is None:
            return
        carried = 0 if self._missed or reason is EndReason.LOST else last - sequence.last
        sequence.boxes += [sequence.boxes[-1]] * carried
        sequence.seen += [True] * carried
        sequence.last += carried
        sequence.end_reason = reason
        self._sequence, self._faces, self._missed = None, None, False
        self._gap = Segment(sequence.last + 1, last) if sequence.last < last else None
        yield sequence

    def _end_gap(self, last: int) -> Iterator[Segment]:
        gap, self._gap = self._gap, None
        if gap is not None and gap.first <= last:
            gap.last = last
            yield gap
