"""The motion of a driving face: all that of a driving video is needed to animate any portrait."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from faceanim.animating.points import Floats, Points
from faceanim.errors import FaceanimError
from faceanim.faces.boxes import Box
from faceanim.tables import atomic_path

SUFFIX = ".motion"
FORMAT = "faceanim motion 1"


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

    points: Points
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

    def taken(self, frames: NDArray[np.intp], times: NDArray[np.float64]) -> "Motion":
        """Those frames, in that order, at those times."""
        return Motion(self.points[frames], self.faces[frames], times, self.fps, self.detector_id)

    def there_and_back(self, rounds: int) -> "Motion":
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
        return self.taken(np.tile(np.concatenate((there, back)), rounds), every)

    def save(self, path: Path) -> None:
        """Write it as a small file; equal motions give equal bytes."""
        fps = np.array(self.fps.as_integer_ratio())
        tensors = {"value": self.points.value, "faces": self.faces, "times": self.times, "fps": fps}
        if self.points.jacobian is not None:
            tensors["jacobian"] = self.points.jacobian
        with atomic_path(path) as temporary:
            # One entry of metadata: safetensors writes several in any order.
            about = {FORMAT: self.detector_id}
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
            points = Points(tensors["value"], tensors.get("jacobian"))
            fps = Fraction(*tensors["fps"].tolist())
            motion = cls(points, tensors["faces"], tensors["times"], fps, about[FORMAT])
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


def nearest_pose(points: Points, portrait: Points) -> int:
    """The driving frame whose face is posed most like the portrait's: where relative motion best begins.

    Keypoints are compared as landmarks are: without where the face is and how large.

    Args:
        points: of the driving frames.
        portrait: of one frame.
    """
    distances = np.square(_normalised(points.value) - _normalised(portrait.value)).sum(axis=(1, 2))
    return int(distances.argmin())


def _normalised(value: Floats) -> Floats:
    centred = value - value.mean(axis=1, keepdims=True)
    size = np.sqrt(np.square(centred).sum(axis=(1, 2), keepdims=True))
    return np.asarray(centred / np.maximum(size, 1e-6), np.float32)
