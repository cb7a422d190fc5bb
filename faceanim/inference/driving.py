"""The driving video: its face followed, cut out and read, a pass each, a batch of frames in memory."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.errors import FaceanimError
from faceanim.faces.detection import ViolaJones
from faceanim.faces.framing import HEAD_MARGINS, compute_crop_box, crop_frame
from faceanim.faces.tracker import SEARCH_EVERY, TRACK_EVERY, FaceTracker
from faceanim.inference.backend import Network
from faceanim.inference.keypoints import KeypointArray
from faceanim.inference.motion import Motion
from faceanim.inference.portrait import pick_face
from faceanim.media.boxes import Box
from faceanim.media.frames import DecodedFrame, Frame, Plane
from faceanim.media.video import MediaError, VideoInfo, decode_frames
from faceanim.schemas import Reason

CROP_MARGIN = 0.1
"""`crop.margin` of the shipped profiles: a driving face is framed as those that the model was trained on."""
MAX_STILL_RATIO = 1.25
"""A square that need not move is at most this much larger than the one around a single head."""
DRIFT_SIGMA_S = 1.5
"""Time over which a square's movement is averaged: it goes with a walk through the room, not with a nod."""


def compute_squares(faces: Sequence[Box], frame_size: tuple[int, int], fps: float) -> list[Box]:
    """The square that is read in each frame.

    One still square holds the head all the time where that is not much larger than the head. Otherwise the
    square is of the size that the head needs, and goes along with it slowly: what the portrait takes over is
    how the head moves, not where the person goes.

    Args:
        faces: the Viola-Jones box in each frame, in the frame's pixels.
        frame_size: width and height.
        fps: frames a second.
    """
    still = compute_crop_box(faces, CROP_MARGIN, frame_size)
    heads = [face.expand(**HEAD_MARGINS) for face in faces]
    side = float(np.quantile([max(head.width, head.height) for head in heads], 0.9)) * (1 + 2 * CROP_MARGIN)
    if still.width <= MAX_STILL_RATIO * side:
        return [still] * len(faces)
    side = min(2.0 * math.ceil(side / 2), min(frame_size) // 2 * 2.0)
    corners = np.array([((h.x0 + h.x1 - side) / 2, (h.y0 + h.y1 - side) / 2) for h in heads])
    inside = np.clip(corners, 0, np.array(frame_size) - side)
    return [Box(x, y, x + side, y + side) for x, y in _smooth_path(inside, DRIFT_SIGMA_S * fps).tolist()]


def _smooth_path(path: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """A path (N, 2) smoothed by a Gaussian; beyond its ends it is thought to go on as it came."""
    room = min(math.ceil(3 * sigma), len(path) - 1)
    longer = np.pad(path, ((room, room), (0, 0)), mode="reflect", reflect_type="odd")
    blurred = cv2.GaussianBlur(longer[:, None], (0, 0), 1, sigmaY=sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred[room : room + len(path), 0], np.float64)


def round_to_pixels(square: Box) -> Box:
    """The nearest square in even whole pixels, for videos have one colour for two by two."""
    x0, y0, side = (2.0 * round(length / 2) for length in (square.x0, square.y0, square.width))
    return Box(x0, y0, x0 + side, y0 + side)


HINT_MARGIN = 0.25
"""How far around where it was chosen a face is searched when it has been lost, as a share of its side."""

MEDIA_PROBLEMS = {
    Reason.NO_VIDEO_STREAM: "has no moving picture in it",
    Reason.TRUNCATED: "breaks off before its end; get it again, whole",
    Reason.TOO_LARGE: "has frames larger than can be read; make it smaller",
}
"""What is said of a file that is no usable video; of any other, the following."""
UNREADABLE = "is no video that can be read; if it plays, convert it to MP4 (H.264)"

FrameCallback = Callable[[int], None]
"""Told how many frames have been read."""


@dataclass(frozen=True)
class DrivingVideo:
    """A driving video whose face is known in every frame.

    Attributes:
        path: of the file.
        info: what it holds.
        faces: the Viola-Jones box of the face in each frame, in the frame's pixels.
        squares: the square around it that is read in each frame; its edges are no whole pixels.
        times: when each frame is shown, in seconds from the first.
    """

    path: Path
    info: VideoInfo
    faces: list[Box]
    squares: list[Box]
    times: NDArray[np.float64]

    @classmethod
    def track(cls, path: Path, info: VideoInfo, face: int | str, on_frame: FrameCallback) -> "DrivingVideo":
        """Follow the face that `Options.driving_face` asks for.

        Args:
            path: of the file.
            info: what it holds.
            face: `largest`, or its number from left to right.
            on_frame: told how many frames have been searched.

        Raises:
            FaceanimError: the file can't be read, or has no such face.
        """
        times: list[Fraction | None] = []
        with wrap_video_errors(path):
            lumas = _read_lumas(decode_frames(path, info, "pyav"), times, on_frame)
            faces = track_face(lumas, face, str(path))
        squares = compute_squares(faces, (info.width, info.height), float(info.fps))
        return cls(path, info, faces, squares, _frame_times(times, info.fps))

    def crops(self, size: int) -> Iterator[Frame]:
        """The square around the face in each frame, (size, size, 3).

        Raises:
            FaceanimError: the file can't be read any more.
        """
        with wrap_video_errors(self.path):
            pictures = decode_frames(self.path, self.info, "pyav")
            for picture, square in zip(pictures, self.squares, strict=False):
                yield crop_frame(picture, round_to_pixels(square), size)

    def motion(self, network: Network, on_frame: FrameCallback) -> Motion:
        """The keypoints of its face."""
        crops, parts, done = self.crops(network.size), [], 0
        while batch := list(islice(crops, network.batch)):
            parts.append(network.detect(np.stack(batch)))
            done += len(batch)
            on_frame(done)
        points = _to_squares(KeypointArray.concatenate(parts), self.squares)
        faces = [_normalize_box(face, square) for face, square in zip(self.faces, self.squares, strict=True)]
        return Motion(points, np.asarray(faces, np.float32), self.times, self.info.fps, network.detector_id)


def track_face(lumas: Iterable[Plane], face: int | str, name: str) -> list[Box]:
    """The box of one face in each frame of a whole video, however far it goes.

    Where the face is missed, its last box stands in; before it is first seen, its first one.

    Args:
        lumas: (H, W) uint8, the brightness of each frame, all of one size.
        face: `largest`, or its number from left to right in the first frame that shows so many.
        name: of the video, for messages.

    Raises:
        FaceanimError: no frame has such a face.
    """
    boxes: list[Box | None] = []
    follower: FaceTracker | None = None
    most = 0
    for number, luma in enumerate(lumas):
        box = boxes[-1] if boxes else None
        if follower is not None and number % TRACK_EVERY == 0:
            box = follower.step(luma) or box
        elif follower is None and number % SEARCH_EVERY == 0:
            faces = ViolaJones().detect(luma)
            most = max(most, len(faces))
            if faces and (face == "largest" or int(face) <= len(faces)):
                follower = _make_tracker(faces, face)
                box = follower.start(luma)
        boxes.append(box)
    first = next((box for box in boxes if box is not None), None)
    if first is None and most:
        raise FaceanimError(f"faces found in {name}: {most}; there is no face {face}")
    if first is None:
        raise FaceanimError(f"no face found in {name}; take a video with one upright, frontal face")
    return [box or first for box in boxes]


def _make_tracker(faces: list[Box], face: int | str) -> FaceTracker:
    """Whoever follows the face asked for, among these."""
    if face == "largest":
        return FaceTracker()
    chosen = pick_face(faces, int(face), "the video")
    return FaceTracker(hint=chosen.expand(HINT_MARGIN, HINT_MARGIN, HINT_MARGIN, HINT_MARGIN))


def _read_lumas(
    pictures: Iterator[DecodedFrame], times: list[Fraction | None], on_frame: FrameCallback
) -> Iterator[Plane]:
    """The brightness of each picture; what time it is for is noted in `times`."""
    for number, picture in enumerate(pictures, start=1):
        times.append(picture.time)
        on_frame(number)
        yield picture.luma


def _frame_times(times: Sequence[Fraction | None], fps: Fraction) -> NDArray[np.float64]:
    """When each frame is shown, from the first on; by the mean rate where the file says nothing of use."""
    known = [time for time in times if time is not None]
    if len(known) == len(times):
        clock = np.array([float(time - known[0]) for time in known])
        if (np.diff(clock) > 0).all():
            return clock
    return np.arange(len(times)) / float(fps)


def _to_squares(points: KeypointArray, squares: Sequence[Box]) -> KeypointArray:
    """Keypoints in what was cut out, in whole pixels, as keypoints in the squares, which move smoothly."""
    cut = [round_to_pixels(square) for square in squares]
    beside = [((c.x0 - s.x0) / s.width, (c.y0 - s.y0) / s.width) for c, s in zip(cut, squares, strict=True)]
    shift = 2 * np.asarray(beside, np.float32)[:, None]
    return KeypointArray(points.value + shift, points.jacobian)


def _normalize_box(face: Box, square: Box) -> Box:
    return face.shift(-square.x0, -square.y0).scale(1 / square.width)


@contextmanager
def wrap_video_errors(path: Path) -> Iterator[None]:
    """Say in one line that a video cannot be read."""
    try:
        yield
    except MediaError as error:
        raise FaceanimError(f"{path} {MEDIA_PROBLEMS.get(error.reason, UNREADABLE)}") from None
