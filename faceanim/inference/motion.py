"""Motion of a driving face, which is all that animating a portrait needs of a driving video.

The keypoints are smoothed before use, which removes jitter but no movement.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from faceanim.errors import FaceanimError
from faceanim.inference.keypoints import NUM_LANDMARKS, Floats, KeypointArray
from faceanim.media.boxes import Box
from faceanim.tables import atomic_path

MOTION_SUFFIX = ".motion"
MOTION_FORMAT = "faceanim motion 1"
"""Metadata key of a motion file, whose value is the `detector_id`."""

MIN_CUTOFF_HZ = 0.5
"""Cutoff frequency for a face at rest; faster movement is noise."""
SPEED_COEFFICIENT = 12.0
"""Increase of the cutoff with speed, in Hz per unit per second; the side of a crop is 2 units."""
SPEED_CUTOFF_HZ = 1.5
"""Cutoff frequency for the estimate of the speed, which noise would otherwise dominate."""
BRIDGE_S = 1.0
"""Longest time in which a hidden face moves into the pose in which it is visible again, in seconds."""


class Visibility(IntEnum):
    """Content of a frame of a driving video."""

    VISIBLE = 0
    """The driving face."""
    NO_FACE = 1
    """No face: a title, a fade, or a face that is hidden or out of the frame."""
    OTHER_PERSON = 2
    """Another person, after a cut."""


@dataclass(frozen=True)
class Motion:
    """Motion of a face as it was detected, before smoothing.

    Attributes:
        points: keypoints of N frames, in the crop of each frame, and landmarks if the model uses any: of all
            frames, or NaN in all of them if none were found.
        faces: (N, 4) float32, the Viola-Jones box in each frame: x0, y0, x1, y1 in units of the crop's side.
        visibility: (N,) uint8, `Visibility` of the face; where it is not visible, the motion is bridged.
        times: (N,) float64, presentation time of each frame, in seconds from the first.
        fps: mean frame rate, exact.
        detector_id: identifier of the detectors; see `Network`.
    """

    points: KeypointArray
    faces: Floats
    visibility: NDArray[np.uint8]
    times: NDArray[np.float64]
    fps: Fraction
    detector_id: str

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Return whether each frame shows the face, (N,)."""
        return np.equal(self.visibility, Visibility.VISIBLE)

    @property
    def is_variable(self) -> bool:
        """Return whether the frame rate varies: some frame is off by more than half a frame interval."""
        due = np.arange(len(self.times)) / float(self.fps)
        return bool(np.abs(self.times - due).max(initial=0) > 0.5 / self.fps)

    @property
    def seconds(self) -> float:
        """Return the duration at the mean frame rate."""
        return float(len(self.times) / self.fps)

    def face(self, frame: int) -> Box:
        """Return the box of the face in a frame, in units of the crop's side."""
        return Box(*self.faces[frame].tolist())

    def select(self, frames: NDArray[np.intp], times: NDArray[np.float64]) -> "Motion":
        """Return the motion of the given frames, in that order and at the given times."""
        return replace(
            self,
            points=self.points[frames],
            faces=self.faces[frames],
            visibility=self.visibility[frames],
            times=times,
        )

    def ping_pong(self, loops: int) -> "Motion":
        """Return the motion played forward and backward, which can be looped without a jump.

        Args:
            loops: number of repetitions; after each, the face is back where it started.
        """
        count = len(self.times)
        if count < 3:
            return self
        loop_s = 2 * self.times[-1]  # the frame after the last one on the way back is the first
        forward, backward = np.arange(count), np.arange(count - 2, 0, -1)
        times = np.concatenate((self.times, loop_s - self.times[backward]))
        all_times = np.concatenate([times + number * loop_s for number in range(loops)])
        return self.select(np.tile(np.concatenate((forward, backward)), loops), all_times)

    def save(self, path: Path) -> None:
        """Write the motion to a small file; equal motions give identical bytes."""
        fps = np.array(self.fps.as_integer_ratio())
        tensors = {
            "value": self.points.value,
            "faces": self.faces,
            "visibility": self.visibility,
            "times": self.times,
            "fps": fps,
        }
        if self.points.jacobian is not None:
            tensors["jacobian"] = self.points.jacobian
        if self.points.landmarks is not None:
            tensors["landmarks"] = self.points.landmarks
        with atomic_path(path) as temporary:
            # A single entry of metadata, because safetensors writes several in arbitrary order.
            metadata = {MOTION_FORMAT: self.detector_id}
            save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, temporary, metadata)

    @classmethod
    def load(cls, path: Path) -> "Motion":
        """Read a file written by `save`.

        Raises:
            FaceanimError: the file is missing, damaged or of another format.
        """
        try:
            with safe_open(path, "numpy") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            points = KeypointArray(tensors["value"], tensors.get("jacobian"), tensors.get("landmarks"))
            fps = Fraction(*tensors["fps"].tolist())
            times = tensors["times"]
            visibility = tensors.get("visibility", np.zeros(len(times), np.uint8))  # missing before 0.3
            motion = cls(points, tensors["faces"], visibility, times, fps, metadata[MOTION_FORMAT])
        except FileNotFoundError:
            raise FaceanimError(f"cannot read {path}: no such file") from None
        except (SafetensorError, KeyError, TypeError, ValueError, ZeroDivisionError, OSError):
            raise FaceanimError(
                f"cannot read {path}: not a motion file of this version; "
                f"create one with `faceanim motion VIDEO {path.name}`"
            ) from None
        motion.check(path)
        return motion

    def check(self, path: Path) -> None:
        """Check that the arrays of a motion file fit together.

        Raises:
            FaceanimError: the file is empty, shapes disagree, or values are not finite.
        """
        count = len(self.times)
        value, jacobian, landmarks = self.points.value, self.points.jacobian, self.points.landmarks
        is_consistent = (
            count > 0
            and value.ndim == 3
            and value.shape[::2] == (count, 2)
            and self.faces.shape == (count, 4)
            and self.times.shape == self.visibility.shape == (count,)
            and self.visibility.dtype == np.uint8
            and self.seen.any()
            and (jacobian is None or jacobian.shape == (*value.shape, 2))
            and (landmarks is None or landmarks.shape == (count, NUM_LANDMARKS, 2))
            and self.fps > 0
            and all(np.isfinite(array).all() for array in (value, self.faces, self.times))
        )
        if not is_consistent:
            raise FaceanimError(f"cannot read {path}: the motion file is damaged; create it again")


def smooth_keypoints(
    points: KeypointArray, times: NDArray[np.float64], strength: float = 1.0
) -> KeypointArray:
    """Smooth the keypoints of a video with the one-euro filter (Casiez et al., 2012), without its lag.

    Landmarks are smoothed likewise; frames without any are left out.

    The filter is a low pass whose cutoff rises with speed: slow movement is smoothed, fast movement is
    followed. It is run forward and backward, and both results are averaged. Each run lags by the same amount
    in its own direction, so the lags cancel.

    Args:
        points: keypoints of N frames.
        times: (N,), presentation time of each frame, in seconds, increasing.
        strength: divisor of the cutoffs; 0 leaves the keypoints unchanged.
    """
    if strength == 0 or len(points) < 3:
        return points
    landmarks = None
    if points.landmarks is not None:
        landmarks, found = points.landmarks.copy(), points.with_landmarks
        landmarks[found] = _filter_both_ways(landmarks[found], times[found], strength)
    if points.jacobian is None:
        return KeypointArray(_filter_both_ways(points.value, times, strength), None, landmarks)
    mean = _filter_both_ways(_flatten_keypoints(points), times, strength)
    return KeypointArray(mean[..., :2], mean[..., 2:].reshape(points.jacobian.shape), landmarks)


def bridge_unseen(
    points: KeypointArray, seen: NDArray[np.bool_], times: NDArray[np.float64]
) -> KeypointArray:
    """Replace the keypoints of frames that do not show the face, in which they mean nothing.

    The face holds its last pose and then eases into the next one, for at most `BRIDGE_S`. It holds still
    before the first and after the last frame that shows it. Landmarks are bridged likewise where they are
    missing; if no frame has any, they stay NaN.

    Args:
        points: keypoints of N frames.
        seen: (N,), whether the frame shows the face; at least one does.
        times: (N,), presentation time of each frame, in seconds, increasing.
    """
    bridged = _bridge(points.value, seen, times)
    jacobian, landmarks = points.jacobian, points.landmarks
    if jacobian is not None:
        jacobian = _bridge(jacobian, seen, times)
    found = seen & points.with_landmarks
    if landmarks is not None:
        landmarks = _bridge(landmarks, found, times) if found.any() else np.full_like(landmarks, np.nan)
    return KeypointArray(bridged, jacobian, landmarks)


def _bridge(track: Floats, seen: NDArray[np.bool_], times: NDArray[np.float64]) -> Floats:
    """Replace the frames of a track (N, ...) that are not seen; see `bridge_unseen`."""
    numbers = np.arange(len(seen))
    before = np.maximum.accumulate(np.where(seen, numbers, -1))
    after = np.minimum.accumulate(np.where(seen, numbers, len(seen))[::-1])[::-1]
    before = np.where(before < 0, after, before)
    after = np.where(after == len(seen), before, after)
    bridge_s = np.clip(times[after] - times[before], 1e-9, BRIDGE_S)
    progress = np.clip(1 - (times[after] - times) / bridge_s, 0, 1)
    weight = np.where(seen, 0, progress * progress * (3 - 2 * progress)).astype(np.float32)
    share = weight.reshape(-1, *(1,) * (track.ndim - 1))
    return np.asarray(track[before] + share * (track[after] - track[before]), np.float32)


def find_nearest_pose(points: KeypointArray, portrait: KeypointArray) -> int:
    """Find the driving frame whose pose is most like the portrait's, the best start of relative motion.

    Landmarks are compared where both have them, else keypoints, after the position and size of the face are
    removed.

    Args:
        points: keypoints of the driving frames.
        portrait: keypoints of one frame.
    """
    theirs, own = points.value, portrait.value
    both_have_landmarks = points.with_landmarks.any() and portrait.with_landmarks.all()
    if both_have_landmarks and points.landmarks is not None and portrait.landmarks is not None:
        theirs, own = points.landmarks, portrait.landmarks
    distances = np.square(_normalize(theirs) - _normalize(own)).sum(axis=(1, 2))
    return int(np.nan_to_num(distances, nan=np.inf).argmin())


def _flatten_keypoints(points: KeypointArray) -> Floats:
    """Concatenate the position and the jacobian of each keypoint, (N, K, 6)."""
    assert points.jacobian is not None
    return np.concatenate((points.value, points.jacobian.reshape(*points.value.shape[:2], 4)), axis=-1)


def _filter_both_ways(track: Floats, times: NDArray[np.float64], strength: float) -> Floats:
    """Run the filter over a track (N, K, C) in both directions and average the results."""
    if len(track) < 3:
        return track
    forward = _filter_forward(track, np.diff(times), strength)
    backward = _filter_forward(track[::-1], np.diff(times)[::-1], strength)[::-1]
    return ((forward + backward) / 2).astype(np.float32)


def _filter_forward(track: Floats, steps: NDArray[np.float64], strength: float) -> Floats:
    """Run the filter over (N, K, C), where the speed of the first two channels, a position, controls all."""
    out = np.empty_like(track)
    out[0] = last = track[0]
    velocity = np.zeros_like(track[0, :, :2])
    for number, step in enumerate(steps, start=1):
        if step <= 0:
            out[number] = last
            continue
        raw_velocity = (track[number, :, :2] - track[number - 1, :, :2]) / step
        velocity = velocity + _smoothing_factor(SPEED_CUTOFF_HZ, step) * (raw_velocity - velocity)
        speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
        alpha = _smoothing_factor((MIN_CUTOFF_HZ + SPEED_COEFFICIENT * speed) / strength, step)
        out[number] = last = last + alpha * (track[number] - last)
    return out


def _smoothing_factor(cutoff_hz: Floats | float, step_s: float) -> Floats:
    """Compute how far a first-order low pass moves toward a new value in a time step, from 0 to 1."""
    rate = 2 * np.pi * np.asarray(cutoff_hz, np.float32) * np.float32(step_s)
    return np.asarray(rate / (rate + 1), np.float32)


def _normalize(value: Floats) -> Floats:
    """Center the keypoints of each frame, (N, K, 2), and scale them to unit norm."""
    centered = value - value.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.square(centered).sum(axis=(1, 2), keepdims=True))
    return np.asarray(centered / np.maximum(norm, 1e-6), np.float32)
