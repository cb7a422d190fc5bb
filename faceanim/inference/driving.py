"""The driving video: its face is tracked in one pass and cropped in the next, a batch of frames in memory.

The square that is cropped stays still where it can; otherwise it drifts along with the face.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.errors import FaceanimError
from faceanim.faces.framing import HEAD_MARGINS, compute_crop_box, crop_frame
from faceanim.inference.face_track import FaceTrack, track_face
from faceanim.inference.keypoints import KeypointArray
from faceanim.inference.motion import Motion, Visibility, bridge_unseen
from faceanim.inference.point_reader import DRIVING_FACE, PointReader
from faceanim.media.boxes import Box
from faceanim.media.frames import DecodedFrame, Frame
from faceanim.media.video import MediaError, VideoInfo, decode_frames
from faceanim.schemas import Reason

CROP_MARGIN = 0.1
"""`crop.margin` of the shipped profiles, so that a driving face is framed like the training data."""
MAX_STILL_RATIO = 1.25
"""Maximum side of a square that stays still, relative to the side of the square around a single head."""
DRIFT_SIGMA_S = 1.5
"""Standard deviation of the Gaussian that smooths the path of a square, in seconds; the square follows a walk
through the room, but not a nod."""
MAX_UNUSABLE_TIMES = 0.1
"""Share of the frames without a usable time up to which the other times are used."""

MEDIA_PROBLEMS = {
    Reason.NO_VIDEO_STREAM: "it has no video stream",
    Reason.TRUNCATED: "the file is truncated; download or copy it again",
    Reason.TOO_LARGE: "its frames are too large; scale it down",
}
"""Messages for the reasons why a video cannot be read; for all other reasons, the following."""
UNREADABLE = "not a supported video; if it plays, convert it to MP4 (H.264)"

FrameCallback = Callable[[int], None]
"""Callable that receives the number of frames read so far."""


@dataclass(frozen=True)
class DrivingVideo:
    """A driving video in which the position of the face is known in every frame.

    Attributes:
        path: path of the file.
        info: properties of the video.
        track: the face in each frame.
        squares: square around the face that is read in each frame; its edges are not whole pixels.
        times: (N,), presentation time of each frame, in seconds from the first.
    """

    path: Path
    info: VideoInfo
    track: FaceTrack
    squares: list[Box]
    times: NDArray[np.float64]

    @classmethod
    def read(cls, path: Path, info: VideoInfo, face: int | str, on_frame: FrameCallback) -> "DrivingVideo":
        """Track the face selected by `Options.driving_face`.

        Args:
            path: path of the file.
            info: properties of the video.
            face: `largest`, or the number of the face from left to right.
            on_frame: callback that receives the number of frames searched so far.

        Raises:
            FaceanimError: the file cannot be read or lacks the requested face.
        """
        times: list[Fraction | None] = []
        with wrap_video_errors(path):
            frames = _record_times(decode_frames(path, info, "pyav"), times, on_frame)
            track = track_face(frames, face, str(path))
        squares = compute_squares(track.boxes, (info.width, info.height), float(info.fps))
        return cls(path, info, track, squares, _frame_times(times, info.fps))

    def crops(self, size: int) -> Iterator[Frame]:
        """Yield the square around the face in each frame, (size, size, 3).

        Raises:
            FaceanimError: the file can no longer be read.
        """
        with wrap_video_errors(self.path):
            frames = decode_frames(self.path, self.info, "pyav")
            for frame, square in zip(frames, self.squares, strict=False):
                yield crop_frame(frame, round_to_pixels(square), size)

    def motion(self, reader: PointReader, on_frame: FrameCallback) -> Motion:
        """Read the points of the face in every frame, and bridge the frames that do not show it."""
        crops, faces = self.crops(reader.side), self._faces_in_crops(reader.side)
        parts: list[KeypointArray] = []
        done = 0
        while batch := list(islice(crops, reader.network.batch)):
            parts.append(reader.read(np.stack(batch), list(islice(faces, len(batch)))))
            done += len(batch)
            on_frame(done)
        points = _to_squares(KeypointArray.concatenate(parts), self.squares)
        reader.check(points, DRIVING_FACE)
        boxes = zip(self.track.boxes, self.squares, strict=True)
        normalized = np.asarray([_normalize_box(face, square) for face, square in boxes], np.float32)
        visibility = self.track.visibility
        bridged = bridge_unseen(points, visibility == Visibility.VISIBLE, self.times)
        return Motion(bridged, normalized, visibility, self.times, self.info.fps, reader.network.detector_id)

    def _faces_in_crops(self, side: int) -> Iterator[Box | None]:
        """Yield the box of the face in each crop, in pixels of a crop of that side; None if it is hidden."""
        frames = zip(self.track.boxes, self.squares, self.track.visibility, strict=True)
        for face, square, visibility in frames:
            crop = round_to_pixels(square)
            yield _normalize_box(face, crop).scale(side) if visibility == Visibility.VISIBLE else None


def compute_squares(faces: Sequence[Box], frame_size: tuple[int, int], fps: float) -> list[Box]:
    """Compute the square that is read in each frame.

    One still square is used if it holds the head throughout without being much larger than the head.
    Otherwise the square has the size that the head needs and follows it slowly: the portrait should reproduce
    how the head moves, not where the person goes.

    Args:
        faces: Viola-Jones box in each frame, in pixels of the frame.
        frame_size: width and height of a frame, in pixels.
        fps: frame rate, in frames per second.
    """
    still_square = compute_crop_box(faces, CROP_MARGIN, frame_size)
    heads = [face.expand(**HEAD_MARGINS) for face in faces]
    side = float(np.quantile([max(head.width, head.height) for head in heads], 0.9)) * (1 + 2 * CROP_MARGIN)
    if still_square.width <= MAX_STILL_RATIO * side:
        return [still_square] * len(faces)
    side = min(2.0 * math.ceil(side / 2), min(frame_size) // 2 * 2.0)
    corners = np.array([((h.x0 + h.x1 - side) / 2, (h.y0 + h.y1 - side) / 2) for h in heads])
    clipped = np.clip(corners, 0, np.array(frame_size) - side)
    return [Box(x, y, x + side, y + side) for x, y in _smooth_path(clipped, DRIFT_SIGMA_S * fps).tolist()]


def round_to_pixels(square: Box) -> Box:
    """Round a square to even whole pixels, because video stores one color sample for 2x2 pixels."""
    x0, y0, side = (2.0 * round(length / 2) for length in (square.x0, square.y0, square.width))
    return Box(x0, y0, x0 + side, y0 + side)


@contextmanager
def wrap_video_errors(path: Path) -> Iterator[None]:
    """Turn errors in reading a video into a one-line message.

    Raises:
        FaceanimError: the video cannot be read.
    """
    try:
        yield
    except MediaError as error:
        raise FaceanimError(f"cannot read {path}: {MEDIA_PROBLEMS.get(error.reason, UNREADABLE)}") from None


def _record_times(
    frames: Iterator[DecodedFrame], times: list[Fraction | None], on_frame: FrameCallback
) -> Iterator[DecodedFrame]:
    """Yield the frames, and append the presentation time of each to `times`."""
    for number, frame in enumerate(frames, start=1):
        times.append(frame.time)
        on_frame(number)
        yield frame


def _frame_times(times: Sequence[Fraction | None], fps: Fraction) -> NDArray[np.float64]:
    """Compute presentation times from the first frame on, by the mean rate if the file has no usable ones.

    A time that is missing, or not later than the one before, is interpolated: the other frames keep theirs.
    """
    usable: list[tuple[int, Fraction]] = []
    for number, time in enumerate(times):
        if time is not None and (not usable or time > usable[-1][1]):
            usable.append((number, time))
    if len(usable) < (1 - MAX_UNUSABLE_TIMES) * len(times):
        return np.arange(len(times)) / float(fps)
    (first, first_time), (last, last_time) = usable[0], usable[-1]
    start = first_time - first / fps
    ends = {0: start, len(times) - 1: last_time + (len(times) - 1 - last) / fps}
    known = dict(sorted((ends | dict(usable)).items()))
    return np.interp(np.arange(len(times)), list(known), [float(time - start) for time in known.values()])


def _smooth_path(path: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Smooth a path (N, 2) with a Gaussian, extrapolating it beyond its ends by odd reflection."""
    padding = min(math.ceil(3 * sigma), len(path) - 1)
    padded = np.pad(path, ((padding, padding), (0, 0)), mode="reflect", reflect_type="odd")
    blurred = cv2.GaussianBlur(padded[:, None], (0, 0), 1, sigmaY=sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred[padding : padding + len(path), 0], np.float64)


def _to_squares(points: KeypointArray, squares: Sequence[Box]) -> KeypointArray:
    """Convert keypoints in the crops, which are in whole pixels, to the squares, which move smoothly."""
    crops = [round_to_pixels(square) for square in squares]
    offsets = [
        ((c.x0 - s.x0) / s.width, (c.y0 - s.y0) / s.width) for c, s in zip(crops, squares, strict=True)
    ]
    shift = 2 * np.asarray(offsets, np.float32)[:, None]
    landmarks = None if points.landmarks is None else points.landmarks + shift
    return KeypointArray(points.value + shift, points.jacobian, landmarks)


def _normalize_box(face: Box, square: Box) -> Box:
    """Express the box of a face in units of the side of its square."""
    return face.shift(-square.x0, -square.y0).scale(1 / square.width)
