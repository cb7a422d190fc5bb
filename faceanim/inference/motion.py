"""The motion of a driving face: all that of a driving video is needed to animate any portrait."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from faceanim.errors import FaceanimError
from faceanim.inference.keypoints import Floats, KeypointArray
from faceanim.media.boxes import Box
from faceanim.tables import atomic_path

MIN_CUTOFF_HZ = 0.5
"""Cutoff for a face at rest: what shakes faster is noise."""
SPEED_COEFFICIENT = 12.0
"""How much the cutoff rises with speed, in Hz for one crop side (2 units) a second times pi."""
SPEED_CUTOFF_HZ = 1.5
"""Cutoff for the speed itself, which noise makes up."""


def smooth_keypoints(
    points: KeypointArray, times: NDArray[np.float64], strength: float = 1.0
) -> KeypointArray:
    """Smooth the keypoints of a video by the one-euro filter (Casiez et al., 2012), without its lag.

    The filter is a low pass whose cutoff rises with speed: slow is smoothed, fast is followed. It is run
    from both ends, and the mean taken: each run lags by as much in its direction, and the two cancel.

    Args:
        points: of N frames.
        times: (N,), of each frame, in seconds, rising.
        strength: divides the cutoffs; 0 leaves all as it is.
    """
    if strength == 0 or len(points) < 3:
        return points
    flat = points.value if points.jacobian is None else _flatten_keypoints(points)
    forth = _filter_one_way(flat, np.diff(times), strength)
    back = _filter_one_way(flat[::-1], np.diff(times)[::-1], strength)[::-1]
    mean = ((forth + back) / 2).astype(np.float32)
    if points.jacobian is None:
        return KeypointArray(mean)
    return KeypointArray(mean[..., :2], mean[..., 2:].reshape(points.jacobian.shape))


def _flatten_keypoints(points: KeypointArray) -> Floats:
    """Positions and jacobians of each keypoint, (N, K, 6)."""
    assert points.jacobian is not None
    return np.concatenate((points.value, points.jacobian.reshape(*points.value.shape[:2], 4)), axis=-1)


def _filter_one_way(track: Floats, steps: NDArray[np.float64], strength: float) -> Floats:
    """One run over (N, K, C), of which the first two are a position; how fast that is decides for all."""
    out = np.empty_like(track)
    out[0] = last = track[0]
    velocity = np.zeros_like(track[0, :, :2])
    for number, step in enumerate(steps, start=1):
        if step <= 0:
            out[number] = last
            continue
        moved = (track[number, :, :2] - track[number - 1, :, :2]) / step
        velocity = velocity + _smoothing_factor(SPEED_CUTOFF_HZ, step) * (moved - velocity)
        speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
        share = _smoothing_factor((MIN_CUTOFF_HZ + SPEED_COEFFICIENT * speed) / strength, step)
        out[number] = last = last + share * (track[number] - last)
    return out


def _smoothing_factor(cutoff_hz: Floats | float, step_s: float) -> Floats:
    """How far a first-order low pass goes towards a new value in a time step, 0 to 1."""
    rate = 2 * np.pi * np.asarray(cutoff_hz, np.float32) * np.float32(step_s)
    return np.asarray(rate / (rate + 1), np.float32)


MOTION_SUFFIX = ".motion"
MOTION_FORMAT = "faceanim motion 1"


@dataclass(frozen=True)
class Motion:
    """A face's motion, as it was detected: nothing is smoothed yet.

    Attributes:
        points: keypoints of N frames, in the crop of each.
        faces: (N, 4) float32: the Viola-Jones box in each, x0 y0 x1 y1 in shares of the crop's side.
        times: (N,) float64: when each is shown, in seconds from the first.
        fps: mean frame rate, exact.
        detector_id: whose keypoints they are; see `Network`.
    """

    points: KeypointArray
    faces: Floats
    times: NDArray[np.float64]
    fps: Fraction
    detector_id: str

    @property
    def is_variable(self) -> bool:
        """Whether the frames come at no fixed rate."""
        due = np.arange(len(self.times)) / float(self.fps)
        return bool(np.abs(self.times - due).max(initial=0) > 0.5 / self.fps)

    def face(self, frame: int) -> Box:
        """The face's box in a frame, in shares of the crop's side."""
        return Box(*self.faces[frame].tolist())

    def select(self, frames: NDArray[np.intp], times: NDArray[np.float64]) -> "Motion":
        """Those frames, in that order, at those times."""
        return Motion(self.points[frames], self.faces[frames], times, self.fps, self.detector_id)

    def ping_pong(self, rounds: int) -> "Motion":
        """The motion forth and back, so that it may go on forever without a jump.

        Args:
            rounds: how often; after each the face is where it began.
        """
        count = len(self.times)
        if count < 3:
            return self
        round_s = 2 * self.times[-1]  # one frame after the last on the way back comes the first
        there, back = np.arange(count), np.arange(count - 2, 0, -1)
        times = np.concatenate((self.times, round_s - self.times[back]))
        every = np.concatenate([times + number * round_s for number in range(rounds)])
        return self.select(np.tile(np.concatenate((there, back)), rounds), every)

    def save(self, path: Path) -> None:
        """Write it as a small file; equal motions give equal bytes."""
        fps = np.array(self.fps.as_integer_ratio())
        tensors = {"value": self.points.value, "faces": self.faces, "times": self.times, "fps": fps}
        if self.points.jacobian is not None:
            tensors["jacobian"] = self.points.jacobian
        with atomic_path(path) as temporary:
            # One entry of metadata: safetensors writes several in any order.
            about = {MOTION_FORMAT: self.detector_id}
            save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, temporary, about)

    @classmethod
    def load(cls, path: Path) -> "Motion":
        """Read what `save` wrote.

        Raises:
            FaceanimError: the file is missing, damaged or something else.
        """
        try:
            with safe_open(path, "numpy") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            points = KeypointArray(tensors["value"], tensors.get("jacobian"))
            fps = Fraction(*tensors["fps"].tolist())
            motion = cls(points, tensors["faces"], tensors["times"], fps, about[MOTION_FORMAT])
        except FileNotFoundError:
            raise FaceanimError(f"there is no file {path}") from None
        except (SafetensorError, KeyError, TypeError, ValueError, ZeroDivisionError, OSError):
            raise FaceanimError(
                f"{path} is no motion file of this version; `faceanim motion VIDEO {path.name}` makes one"
            ) from None
        motion.check(path)
        return motion

    def check(self, path: Path) -> None:
        """See that what was read fits together.

        Raises:
            FaceanimError: it does not.
        """
        count = len(self.times)
        value, jacobian = self.points.value, self.points.jacobian
        fits = (
            count > 0
            and value.ndim == 3
            and value.shape[::2] == (count, 2)
            and self.faces.shape == (count, 4)
            and self.times.shape == (count,)
            and (jacobian is None or jacobian.shape == (*value.shape, 2))
            and self.fps > 0
            and all(np.isfinite(array).all() for array in (value, self.faces, self.times))
        )
        if not fits:
            raise FaceanimError(f"{path} is a damaged motion file; make it again")


def find_nearest_pose(points: KeypointArray, portrait: KeypointArray) -> int:
    """The driving frame whose face is posed most like the portrait's: where relative motion best begins.

    Keypoints are compared as landmarks are: without where the face is and how large.

    Args:
        points: of the driving frames.
        portrait: of one frame.
    """
    distances = np.square(_normalize(points.value) - _normalize(portrait.value)).sum(axis=(1, 2))
    return int(distances.argmin())


def _normalize(value: Floats) -> Floats:
    centred = value - value.mean(axis=1, keepdims=True)
    size = np.sqrt(np.square(centred).sum(axis=(1, 2), keepdims=True))
    return np.asarray(centred / np.maximum(size, 1e-6), np.float32)
