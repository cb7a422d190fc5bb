"""Keypoints outside the networks: plain arrays, so that animating works with any backend."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Points:
    """Keypoints of frames; what `Keypoints` is inside the networks.

    Attributes:
        value: (N, K, 2) float32, x then y in [-1, 1] of the crop.
        jacobian: (N, K, 2, 2) float32, the local affine motion, or None: the motion is a translation.
    """

    value: Floats
    jacobian: Floats | None = None

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: slice | NDArray[np.intp]) -> "Points":
        return Points(self.value[index], None if self.jacobian is None else self.jacobian[index])

    @classmethod
    def joined(cls, parts: "list[Points]") -> "Points":
        """Those of several runs of frames, one after the other; there is at least one run."""
        jacobians = [part.jacobian for part in parts if part.jacobian is not None]
        value = np.concatenate([part.value for part in parts])
        return cls(value, np.concatenate(jacobians) if jacobians else None)

    def moved(self, start: "Points", end: "Points", scale: float) -> "Points":
        """Where these (of one frame) go if they move as from `start` (one frame) to each of `end`.

        Siarohin et al. (2019), section 3.3, and its movement scale.

        Args:
            start: the driving face posed as this one is.
            end: the driving face in N frames.
            scale: how much of the movement is carried over; 1 is all of it.

        Returns:
            those of N frames.
        """
        value = self.value + np.float32(scale) * (end.value - start.value)
        if self.jacobian is None or start.jacobian is None or end.jacobian is None:
            return Points(value)
        still = np.eye(2, dtype=np.float32)
        change = still + np.float32(scale) * (end.jacobian @ np.linalg.inv(start.jacobian) - still)
        return Points(value, change @ self.jacobian)
