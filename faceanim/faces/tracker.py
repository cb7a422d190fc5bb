"""Face tracking through a video, and its segmentation into sequences (section 4 of the paper).

A face is detected in the first frame of a sequence and tracked until it has moved too far from there. The
next sequence starts at that frame, and so on to the end of the video, in one pass with one frame in memory.
Since Viola-Jones is slow, it searches every fourth frame, near the last box, and the boxes in between are
interpolated.
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
"""Interval in frames between two searches for a tracked face."""
SEARCH_EVERY = 5
"""Interval in frames between two whole-frame searches while no face is known."""
MAX_MISSED = 12
"""Longest gap without a detection that is bridged, in frames; after a longer one, the face is lost."""
SAME_FACE_IOU = 0.3
"""Smallest overlap (intersection over union) with the previous box; below it, the face is another one."""


@dataclass
class Segment:
    """Consecutive frames of a video: a sequence that tracks one face, or a gap (no face, or a fade).

    Attributes:
        first: first frame, counted from the first one read.
        last: last frame, inclusive.
        boxes: box of the face in each frame, in pixels of the frame; empty for a gap.
        seen: whether the face was detected in each frame or in the searched frames around it; False where a
            missed detection was bridged.
        end_reason: reason for the end of the sequence; None for a gap.
        is_fade: whether the frames are between two shots.
    """

    first: int
    last: int
    boxes: list[Box] = field(default_factory=list)
    seen: list[bool] = field(default_factory=list)
    end_reason: EndReason | None = None
    is_fade: bool = False


class FaceTracker:
    """Tracker of one face from frame to frame."""

    def __init__(self, hint: Box | None = None) -> None:
        """Track the largest face, or of the faces centered in `hint` the one that best overlaps it.

        Args:
            hint: approximate box of the face, in pixels of the frames.
        """
        self._detector = ViolaJones()
        self._hint = hint
        self._box: Box | None = None
        self._missed = 0

    def start(self, luma: Plane) -> Box | None:
        """Search the whole frame for the face to track, and drop the previous one."""
        candidates = self._search(luma)
        self._box, self._missed = (candidates[0] if candidates else None), 0
        return self._box

    def step(self, luma: Plane) -> Box | None:
        """Find the tracked face in a later frame, near its last box and now and then in the whole frame."""
        last = self._box
        if last is None:
            raise ValueError("no face is being tracked; call start first")
        candidates = self._detector.detect_near(luma, last)
        if not candidates and self._missed % SEARCH_EVERY == 0:
            candidates = self._search(luma)
        if not candidates:
            self._missed += 1
            return None
        self._missed = 0
        self._box = max(candidates, key=last.iou)
        return self._box

    def _search(self, luma: Plane) -> list[Box]:
        """Detect the candidates for tracking in the whole frame, most likely first."""
        for side in (COARSE_SIDE, SEARCH_SIDE):
            candidates = self._match_hint(self._detector.detect(luma, side))
            if candidates:
                return candidates
        return []

    def _match_hint(self, faces: list[Box]) -> list[Box]:
        hint = self._hint
        if hint is None:
            return faces
        return sorted((face for face in faces if hint.contains_center_of(face)), key=hint.iou, reverse=True)


class Segmenter:
    """Incremental segmentation of consecutive frames; each frame is in exactly one segment.

    A sequence ends when its face overlaps the first box by less than `config.min_iou` (drift), when its shot
    ends, when the face is lost, after `config.max_frames`, or when the video ends. Its length and size are
    not checked here.
    """

    def __init__(self, config: CropConfig, hint: Box | None = None) -> None:
        """Track the largest face, or the one in the box `hint` (in pixels of the frames)."""
        self._config = config
        self._tracker = FaceTracker(hint)
        self._number = -1
        self._sequence: Segment | None = None  # up to the last frame in which the face was detected
        self._faces: Box | None = None
        self._missed = False  # whether a search has failed since then
        self._gap: Segment | None = None

    @property
    def faces(self) -> Box | None:
        """Smallest box around the faces of the current sequence so far; None outside of a sequence."""
        return self._faces

    def push(self, luma: Plane, change: ShotChange = ShotChange.NONE) -> Iterator[Segment]:
        """Add the next frame, given as its brightness (H, W), and yield the segments that it ends."""
        self._number += 1
        if change is not ShotChange.NONE:
            yield from self._end_sequence(self._number - 1, EndReason.CUT)
        is_fade = change is ShotChange.FADE
        if self._gap is not None and self._gap.is_fade != is_fade:
            yield from self._end_gap(self._number - 1)
        if is_fade:
            self._gap = self._gap or Segment(self._number, self._number, is_fade=True)
        elif self._sequence is None:
            yield from self._search_face(luma, at_once=change is ShotChange.CUT)
        else:
            yield from self._follow(self._sequence, luma)

    def finish(self) -> Iterator[Segment]:
        """End the video, and yield the segments that it ends."""
        yield from self._end_sequence(self._number, EndReason.END)
        yield from self._end_gap(self._number)

    def _search_face(self, luma: Plane, at_once: bool) -> Iterator[Segment]:
        """Search for a face, every `SEARCH_EVERY` frames unless `at_once`, and start a sequence with it."""
        if self._gap is None:
            self._gap = Segment(self._number, self._number)
        if at_once or (self._number - self._gap.first) % SEARCH_EVERY == 0:
            box = self._tracker.start(luma)
            if box is not None:
                yield from self._start_sequence(box)

    def _start_sequence(self, box: Box) -> Iterator[Segment]:
        yield from self._end_gap(self._number - 1)
        self._sequence = Segment(self._number, self._number, [box], [True])
        self._faces, self._missed = box, False

    def _follow(self, sequence: Segment, luma: Plane) -> Iterator[Segment]:
        """Add the frame to the sequence, or end the sequence and start another."""
        since_seen = self._number - sequence.last
        is_full = self._number - sequence.first == self._config.max_frames
        if not is_full and not self._missed and since_seen < TRACK_EVERY:
            return
        box = self._tracker.step(luma)
        if is_full:
            yield from self._end_sequence(self._number - 1, EndReason.MAX_FRAMES)
            yield from self._search_face(luma, at_once=True) if box is None else self._start_sequence(box)
        elif box is None:
            self._missed = True
            if since_seen > MAX_MISSED:
                yield from self._end_sequence(self._number, EndReason.LOST)
        elif box.iou(sequence.boxes[-1]) < SAME_FACE_IOU:
            yield from self._end_sequence(self._number - 1, EndReason.LOST)
            yield from self._start_sequence(box)
        else:
            yield from self._extend_sequence(sequence, box)

    def _extend_sequence(self, sequence: Segment, box: Box) -> Iterator[Segment]:
        """Extend the sequence to this frame, with the face at `box`, and end it where it has drifted."""
        steps = self._number - sequence.last
        boxes = [interpolate_box(sequence.boxes[-1], box, step / steps) for step in range(1, steps + 1)]
        seen = [not self._missed] * (steps - 1) + [True]
        start, self._missed = sequence.boxes[0], False
        num_kept = next((n for n, box in enumerate(boxes) if box.iou(start) < self._config.min_iou), steps)
        sequence.boxes += boxes[:num_kept]
        sequence.seen += seen[:num_kept]
        sequence.last += num_kept
        self._faces = enclosing_box([self._faces or box, *boxes])
        if num_kept < steps:
            sequence.end_reason = EndReason.DRIFT
            self._sequence = Segment(sequence.last + 1, self._number, boxes[num_kept:], seen[num_kept:])
            self._faces = enclosing_box(boxes[num_kept:])
            yield sequence

    def _end_sequence(self, last: int, reason: EndReason) -> Iterator[Segment]:
        """End the current sequence, if any, at frame `last` or where the face was last detected."""
        sequence = self._sequence
        if sequence is None:
            return
        num_carried = 0 if self._missed or reason is EndReason.LOST else last - sequence.last
        sequence.boxes += [sequence.boxes[-1]] * num_carried
        sequence.seen += [True] * num_carried
        sequence.last += num_carried
        sequence.end_reason = reason
        self._sequence, self._faces, self._missed = None, None, False
        self._gap = Segment(sequence.last + 1, last) if sequence.last < last else None
        yield sequence

    def _end_gap(self, last: int) -> Iterator[Segment]:
        gap, self._gap = self._gap, None
        if gap is not None and gap.first <= last:
            gap.last = last
            yield gap
