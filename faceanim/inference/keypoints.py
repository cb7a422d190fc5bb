"""Keypoints and animation layers as NumPy arrays, so that animating works with any backend.

A prediction is the warped source plus what the generator paints over it (eq. 2), and both can be rendered at
any size. The deformation is smooth, so once upsampled it warps the photograph itself, which keeps its detail.
Only the painted part comes from the small frame.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.faces.landmark_sets import IBUG68
from faceanim.inference.face_motion import Strengths, move_face
from faceanim.media.frames import Frame

Floats = NDArray[np.float32]
NUM_LANDMARKS = len(IBUG68)


@dataclass(frozen=True)
class KeypointArray:
    """Keypoints of N frames, the NumPy counterpart of `Keypoints` inside the networks.

    Attributes:
        value: (N, K, 2) float32, x then y in [-1, 1] of the crop.
        jacobian: (N, K, 2, 2) float32, the local affine motion, or None: the motion is a translation.
        landmarks: (N, 68, 2) float32, iBUG's landmarks, in the units of `value`, NaN in frames without any;
            None: the networks use none.
    """

    value: Floats
    jacobian: Floats | None = None
    landmarks: Floats | None = None

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: slice | NDArray[np.intp]) -> "KeypointArray":
        return KeypointArray(
            self.value[index],
            None if self.jacobian is None else self.jacobian[index],
            None if self.landmarks is None else self.landmarks[index],
        )

    @classmethod
    def concatenate(cls, parts: "list[KeypointArray]") -> "KeypointArray":
        """Concatenate the keypoints of consecutive runs of frames; at least one run is required."""
        jacobians = [part.jacobian for part in parts if part.jacobian is not None]
        landmarks = [part.landmarks for part in parts if part.landmarks is not None]
        return cls(
            np.concatenate([part.value for part in parts]),
            np.concatenate(jacobians) if jacobians else None,
            np.concatenate(landmarks) if landmarks else None,
        )

    @property
    def with_landmarks(self) -> NDArray[np.bool_]:
        """Return whether each frame has landmarks, (N,)."""
        if self.landmarks is None:
            return np.zeros(len(self), bool)
        return np.asarray(np.isfinite(self.landmarks).all(axis=(1, 2)), bool)

    def move_relative(
        self, start: "KeypointArray", end: "KeypointArray", strengths: Strengths | None = None
    ) -> "KeypointArray":
        """Move these keypoints (one frame) as the driving face moves from `start` to each frame of `end`.

        Keypoints: relative motion of Siarohin et al. (2019), section 3.3, with the strength of the head as
        their movement scale. Where the driving face has no jacobians, the motion is a translation and the
        jacobians are left unchanged. Landmarks: see `move_face`.

        Args:
            start: the driving face in the pose of this one, one frame.
            end: the driving face in N frames.
            strengths: strengths of the parts of the motion; None: all 1.

        Returns:
            The moved keypoints of N frames.
        """
        strengths = strengths or Strengths()
        factor = np.float32(strengths.head)
        value = self.value + factor * end.value - factor * start.value
        landmarks = None
        if self.landmarks is not None and start.landmarks is not None and end.landmarks is not None:
            landmarks = move_face(self.landmarks, start.landmarks, end.landmarks, strengths)
        if self.jacobian is None or start.jacobian is None or end.jacobian is None:
            still = None if self.jacobian is None else self.jacobian.repeat(len(end), axis=0)
            return KeypointArray(value, still, landmarks)
        identity = np.eye(2, dtype=np.float32)
        change = identity + factor * (end.jacobian @ np.linalg.inv(start.jacobian) - identity)
        return KeypointArray(value, change @ self.jacobian, landmarks)


@dataclass(frozen=True)
class AnimationLayers:
    """Layers from which N animated frames are composed.

    Attributes:
        deformation: F_n, (N, h, w, 2) float32, x then y in [-1, 1]: the position in the portrait that each
            pixel is sampled from; -1 and 1 are the centers of the outermost pixels.
        residual: (N, S, S, 3) float32 in [-1, 1], (1 - M_n) (R_n - E_n): the part that is added to the warped
            portrait.
    """

    deformation: Floats
    residual: Floats


def render_at_full_size(photograph: Frame, deformation: Floats, residual: Floats) -> Frame:
    """Render one animated frame at the size of the photograph.

    Args:
        photograph: the portrait, (H, H, 3) uint8 RGB.
        deformation: (h, w, 2), the deformation of one frame; see `AnimationLayers`.
        residual: (S, S, 3), the residual of one frame.

    Returns:
        (H, H, 3) uint8 RGB.
    """
    side = photograph.shape[0]
    pixels = (_upsample_grid(deformation, side) + 1) * np.float32((side - 1) / 2)
    warped = cv2.remap(photograph, pixels, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    upsampled = cv2.resize(residual, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.rint(warped + 255 * upsampled).clip(0, 255), np.uint8)


def _upsample_grid(grid: Floats, side: int) -> Floats:
    """Upsample a grid (h, w, 2) bilinearly to (side, side, 2), keeping its ends in place.

    OpenCV's resize would shift the ends, and its warps resolve only 32 positions between two grid points.
    """
    down, across = _interpolation_weights(grid.shape[0], side), _interpolation_weights(grid.shape[1], side)
    return np.asarray(np.einsum("yh,hwc,xw->yxc", down, grid, across, optimize=True), np.float32)


def _interpolation_weights(count: int, side: int) -> Floats:
    """Compute the linear weight of each of `count` points at `side` positions along them, (side, count)."""
    positions = np.linspace(0, count - 1, side, dtype=np.float32)[:, None]
    weights = np.maximum(0, 1 - np.abs(positions - np.arange(count, dtype=np.float32)))
    return np.asarray(weights, np.float32)
