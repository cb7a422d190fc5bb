"""The driving face in every frame of a video, and whether it is visible there.

Viola-Jones misses faces that turn away although they are there. Other frames show no face at all, such as
titles, fades and black beginnings, or after a cut somebody else. Appearance tells them apart: a frame in
which the detector misses the face still shows it if the image at its last position has hardly changed.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.config import CropConfig
from faceanim.errors import FaceanimError
from faceanim.faces.detection import ViolaJones
from faceanim.faces.shots import ShotChange, detect_shot_changes
from faceanim.faces.tracker import SEARCH_EVERY, TRACK_EVERY, FaceTracker
from faceanim.inference.motion import Visibility
from faceanim.inference.portrait import pick_face
from faceanim.media.boxes import Box
from faceanim.media.frames import DecodedFrame, Plane

HINT_MARGIN = 0.25
"""Margin around a chosen face within which it is searched again once it is lost, as a share of its side."""
FACE_MARGIN = 0.2
"""Margin of a `_Patch` that shows whether a face is still there, relative to its side."""
MIN_FACE_CORRELATION = 0.6
"""Smallest correlation with the face last detected at which a face is still there.

Of real faces missed by the detector because they turn away, all are above 0.65; of image patches without a
face, 19 of 20 are below 0.55.
"""
MIN_CONTRAST = 1 / 3
"""Smallest contrast of a visible face, relative to its usual one; in fades to a color it falls to zero."""
PERSON_MARGIN = 0.5
"""Margin of a `_Patch` by which a person is recognized after a cut: the head with its surroundings."""
MIN_PERSON_CORRELATION = 0.64
"""Smallest correlation of two views of one person in one setting.

In real videos, 99 % of such pairs are above it, and 98 % of the pairs of different people below.
"""
MAX_VIEWS = 16
"""Number of views of a person that are kept, to recognize them after a cut."""
VIEW_EVERY = 25
"""Interval in frames between two views that are kept."""
MIN_VISIBLE_SHARE, FEW_VISIBLE_SHARE = 0.2, 0.8
"""Shares of frames that show the face below which a driving video is refused, and warned of."""
PATCH_SIDE, PATCH_SHIFT = 24, 4
"""Side of a patch in pixels, and the largest shift at which two patches are compared."""

_Patch = NDArray[np.float32]
"""(24, 24), brightness of a face and its margin."""


@dataclass(frozen=True)
class FaceTrack:
    """A face that was tracked through a video.

    Attributes:
        boxes: Viola-Jones box of the face in each frame, in pixels of the frame. Frames that do not show the
            face repeat its last box; those before its first detection have the first one.
        visibility: (N,) uint8, `Visibility` of the face in each frame.
    """

    boxes: list[Box]
    visibility: NDArray[np.uint8]


@dataclass
class _Person:
    """A person of a video.

    Attributes:
        boxes: box of the face in each frame in which it is visible, by the number of the frame.
        contrasts: contrast of the face in those frames.
        views: patches by which the person is recognized after a cut.
    """

    boxes: dict[int, Box] = field(default_factory=dict)
    contrasts: dict[int, float] = field(default_factory=dict)
    views: list[_Patch] = field(default_factory=list)

    def add(self, number: int, luma: Plane, box: Box) -> None:
        """Add a frame in which the face is visible."""
        if len(self.views) < MAX_VIEWS and len(self.boxes) >= VIEW_EVERY * len(self.views):
            self.views.append(_cut_patch(luma, box, PERSON_MARGIN))
        self.boxes[number] = box
        self.contrasts[number] = float(_cut_patch(luma, box, FACE_MARGIN).std())

    def correlate(self, patch: _Patch) -> float:
        """Compute how much the person resembles the one in a patch, from -1 to 1."""
        return max(_correlate(patch, view) for view in self.views)

    def visible_boxes(self) -> dict[int, Box]:
        """Return the boxes of the frames in which the face is more than a shadow."""
        smallest = MIN_CONTRAST * np.median(list(self.contrasts.values()))
        return {number: box for number, box in self.boxes.items() if self.contrasts[number] > smallest}


class _Follower:
    """Follower of one face through the shots of a video.

    Args:
        face: `largest`, or the number of the face from left to right in the first frame with enough faces.
    """

    def __init__(self, face: int | str) -> None:
        self.people: list[_Person] = []
        self.num_frames = 0
        self.max_faces = 0
        self._face = face
        self._detector = ViolaJones()
        self._tracker: FaceTracker | None = None
        self._person = _Person()
        self._box = Box(0, 0, 0, 0)
        self._reference: _Patch = np.zeros((PATCH_SIDE, PATCH_SIDE), np.float32)  # the face last detected
        self._since_search = SEARCH_EVERY
        self._is_lost = True
        self._is_new_shot = True
        self._unseen: deque[Plane] = deque(
            maxlen=SEARCH_EVERY
        )  # last frames of the shot, up to its first face

    def push(self, luma: Plane, change: ShotChange) -> None:
        """Add the next frame, given as its brightness (H, W)."""
        self._since_search += 1
        if change is not ShotChange.NONE:
            self._begin_shot(luma, change)
        box = None if change is ShotChange.FADE else self._find(luma)
        self._is_lost = box is None
        if box is not None:
            self._person.add(self.num_frames, luma, box)
            self._box = box
        elif self._is_new_shot:
            self._unseen.append(luma)
        self.num_frames += 1

    def _begin_shot(self, luma: Plane, change: ShotChange) -> None:
        """Prepare for another shot, unless a cut goes to the same person in the same place."""
        self._since_search = SEARCH_EVERY
        self._unseen.clear()
        is_known = change is ShotChange.CUT and self._recognize(luma, self._box) is self._person
        self._is_new_shot |= not is_known

    def _find(self, luma: Plane) -> Box | None:
        """Find the face in a frame; None if the frame does not show it."""
        if self._is_new_shot or self._tracker is None:
            return self._find_in_new_shot(luma)
        is_unchanged = self._is_unchanged(luma, self._box)
        if is_unchanged and not self._is_lost and self._since_search < TRACK_EVERY:
            return self._box
        self._since_search = 0
        box = self._tracker.step(luma)
        if box is not None:
            self._reference = _cut_patch(luma, box, FACE_MARGIN)
            return box
        return self._box if is_unchanged else None

    def _find_in_new_shot(self, luma: Plane) -> Box | None:
        """Search the whole frame, now and then, and recognize the person."""
        if self._since_search < SEARCH_EVERY:
            return None
        self._since_search = 0
        self._tracker = self._tracker or self._choose(luma)
        box = None if self._tracker is None else self._tracker.start(luma)
        if box is None:
            return None
        self._is_new_shot = False
        self._reference = _cut_patch(luma, box, FACE_MARGIN)
        person = self._recognize(luma, box)
        if person is None:
            person = _Person()
            self.people.append(person)
        self._person = person
        self._add_missed(box)
        return box

    def _choose(self, luma: Plane) -> FaceTracker | None:
        """Create the tracker of the face to follow, if the frame shows it."""
        faces = self._detector.detect(luma)
        self.max_faces = max(self.max_faces, len(faces))
        if not faces or (self._face != "largest" and int(self._face) > len(faces)):
            return None
        if self._face == "largest":
            return FaceTracker()
        chosen = pick_face(faces, int(self._face), "the video")
        return FaceTracker(hint=chosen.expand(HINT_MARGIN, HINT_MARGIN, HINT_MARGIN, HINT_MARGIN))

    def _add_missed(self, box: Box) -> None:
        """Add the frames just before the first detection that show the face as well."""
        for back, luma in enumerate(reversed(self._unseen), start=1):
            if not self._is_unchanged(luma, box):
                break
            self._person.add(self.num_frames - back, luma, box)
        self._unseen.clear()

    def _recognize(self, luma: Plane, box: Box) -> _Person | None:
        """Recognize the person in a box of a frame; None if it is a new one."""
        patch = _cut_patch(luma, box, PERSON_MARGIN)
        scores = [person.correlate(patch) for person in self.people]
        best = int(np.argmax(scores)) if scores else 0
        return self.people[best] if scores and scores[best] > MIN_PERSON_CORRELATION else None

    def _is_unchanged(self, luma: Plane, box: Box) -> bool:
        """Check whether a box shows about what it did when the face was last detected."""
        patch = _cut_patch(luma, box, FACE_MARGIN)
        has_contrast = patch.std() > MIN_CONTRAST * self._reference.std()
        return bool(has_contrast and _correlate(patch, self._reference) > MIN_FACE_CORRELATION)


def track_face(frames: Iterable[DecodedFrame], face: int | str, name: str) -> FaceTrack:
    """Track one face through a whole video, however far it moves and whatever is shown in between.

    Args:
        frames: frames of one size.
        face: `largest`, or the number of the face from left to right in the first frame with enough faces.
            Of several people who are shown one after the other, `largest` is the one shown for longest.
        name: name of the video, for messages.

    Raises:
        FaceanimError: no frame shows the requested face.
    """
    follower = _Follower(face)
    threshold = CropConfig.model_fields["cut_threshold"].default
    for frame, change in detect_shot_changes(frames, threshold):
        follower.push(frame.luma, change)
    if not follower.people:
        if follower.max_faces:
            raise FaceanimError(f"cannot select face {face}: only {follower.max_faces} found in {name}")
        raise FaceanimError(f"no face found in {name}; use a video with one upright, frontal face")
    person = follower.people[0]
    if face == "largest":
        person = max(follower.people, key=lambda person: len(person.boxes))
    boxes = person.visible_boxes()
    visibility = np.full(follower.num_frames, Visibility.NO_FACE, np.uint8)
    for other in follower.people:
        visibility[list(other.boxes)] = Visibility.OTHER_PERSON
    visibility[list(person.boxes)] = Visibility.NO_FACE
    visibility[list(boxes)] = Visibility.VISIBLE
    held, box = [], boxes[min(boxes)]
    for number in range(follower.num_frames):
        box = boxes.get(number, box)
        held.append(box)
    return FaceTrack(held, visibility)


def check_visibility(visibility: NDArray[np.uint8], name: str) -> None:
    """Check that enough frames of a driving video show the face.

    Raises:
        FaceanimError: too few frames show it.
    """
    count, total = int((visibility == Visibility.VISIBLE).sum()), len(visibility)
    if count < MIN_VISIBLE_SHARE * total:
        raise FaceanimError(
            f"cannot use {name}: only {count} of {total} frames show the face; cut out the part that shows it"
        )


def describe_visibility(visibility: NDArray[np.uint8]) -> list[str]:
    """Describe how many frames do not show the driving face; empty if all of them do."""
    total = len(visibility)
    hidden = int((visibility == Visibility.NO_FACE).sum())
    other = int((visibility == Visibility.OTHER_PERSON).sum())
    lines = []
    if hidden:
        lines.append(f"{hidden} of {total} driving frames show no face; the motion is bridged there")
    if other:
        lines.append(f"{other} of {total} driving frames show another person; the motion is bridged there")
    if hidden + other > (1 - FEW_VISIBLE_SHARE) * total:
        lines.append("much of the motion is missing; cut out the part of the video that shows the face")
    return lines


def _cut_patch(luma: Plane, box: Box, margin: float) -> _Patch:
    """Cut a box with a margin, a share of its side, out of a frame, and shrink it."""
    area = box.expand(margin, margin, margin, margin)
    height, width = luma.shape
    x0, y0 = min(max(int(area.x0), 0), width - 1), min(max(int(area.y0), 0), height - 1)
    x1, y1 = max(min(int(area.x1), width), x0 + 1), max(min(int(area.y1), height), y0 + 1)
    part = cv2.resize(luma[y0:y1, x0:x1], (PATCH_SIDE, PATCH_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(part, np.float32)


def _correlate(a: _Patch, b: _Patch) -> float:
    """Compute the largest normalized correlation of two patches over small shifts, from -1 to 1."""
    padded = cv2.copyMakeBorder(a, *(PATCH_SHIFT,) * 4, cv2.BORDER_REPLICATE)
    return float(cv2.matchTemplate(padded, b, cv2.TM_CCOEFF_NORMED).max())
