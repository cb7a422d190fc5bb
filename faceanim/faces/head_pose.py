"""Pose of the head behind 68 landmarks, by scaled orthographic projection of a mean face.

A face is shallow compared with its distance from the camera, so its image is nearly L = s (R Y)_xy + t, where
Y are places in the head's frame (weak perspective). The fit is the POS algorithm of DeMenthon & Davis (1995):
a linear least-squares problem, then the nearest scaled rotation.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceanim.faces.mean_face import MEAN_FACE

Floats = NDArray[np.floating[Any]]

EAR_TO_CHIN = (1.0, 1.0, 1.0, 0.9, 0.7, 0.5, 0.3, 0.15, 0.0)
RIGIDITY: Floats = np.concatenate(
    (
        (*EAR_TO_CHIN, *EAR_TO_CHIN[-2::-1]),  # jaw
        np.zeros(10),  # brows
        np.ones(9),  # nose
        np.tile((1.0, 0.0, 0.0), 4),  # eyes, of which the corners are rigid
        np.zeros(20),  # lips
    )
)
"""Share of each landmark's motion that belongs to the head and not to the expression, (68,).

In rendered takes, expressions move ears, nose and corners of the eyes by less than 0.7 % of the distance
between the eyes (standard deviation along an axis), chin and lower lip by 4 to 7 %.
"""
LEAST_WEIGHT = 0.35
"""Weight in the fit of landmarks that move with the expression, beside 1 for rigid ones.

Mean error of the turn between two frames of rendered takes: with half a pixel of noise in 64, 1.6 degrees,
and 1.8 if the weight is 0; with strong expressions and turns of up to 45 degrees, 3.2, and 3.5 if it is 1.
"""
DEPTH_RIDGE = 0.03
"""Ridge on the motion of landmarks with their depth, whose variance is 0.23.

It keeps noise from turning the head, and makes up for perspective, which the model lacks: rendered heads turn
by the true angle, and by 1.06 times the angle at a ridge of 0.01.
"""
LEAST_FACING = 0.2
"""Cosine of the angle between face and camera, 78 degrees, beyond which `HeadPose.unfold` is damped."""
LEAST_SCALE = 1e-6
"""Lower bound of the scale, which keeps landmarks that coincide from a division by zero."""


@dataclass(frozen=True)
class HeadPose:
    """Poses of a head in N frames: place y of the head appears at scale * (rotation y)_xy + translation.

    Attributes:
        rotation: (N, 3, 3), from the head's axes (see `MEAN_FACE`) to the image's: x to the right, y down, z
            away from the camera.
        scale: (N,), length in the image of the distance between the eyes.
        translation: (N, 2), where the pivot of the head would appear.
    """

    rotation: Floats
    scale: Floats
    translation: Floats

    def __getitem__(self, frames: slice) -> "HeadPose":
        """Return the poses in some of the frames."""
        return HeadPose(self.rotation[frames], self.scale[frames], self.translation[frames])

    def project(self, places: Floats, depth: Floats) -> Floats:
        """Project places in the head's frame to the image.

        Args:
            places: (N, P, 2), x and y.
            depth: (P,), their z.

        Returns:
            (N, P, 2).
        """
        rotated = places @ self.rotation[:, :2, :2].mT + depth[:, None] * self.rotation[:, None, :2, 2]
        return np.asarray(self.scale[:, None, None] * rotated + self.translation[:, None])

    def unfold(self, points: Floats, depth: Floats) -> Floats:
        """Find the places in the head's frame that appear at points of the image, by their depth.

        The inverse of `project` for faces turned by up to 78 degrees.

        Args:
            points: (N, P, 2), in the image.
            depth: (P,), z of the places.

        Returns:
            (N, P, 2), x and y of the places.
        """
        centered = (points - self.translation[:, None]) / self.scale[:, None, None]
        flat = centered - depth[:, None] * self.rotation[:, None, :2, 2]
        (a, b), (c, d) = np.moveaxis(self.rotation[:, :2, :2], 0, -1)
        adjugate = np.moveaxis(np.array(((d, -b), (-c, a))), -1, 0)
        facing = np.maximum(self.rotation[:, 2, 2], LEAST_FACING)  # the determinant of the upper left part
        return np.asarray(flat @ adjugate.mT / facing[:, None, None])


def fit_head_pose(landmarks: Floats) -> HeadPose:
    """Fit the pose of the mean face to the landmarks of N frames.

    Args:
        landmarks: (N, 68, 2), finite.
    """
    weights = np.maximum(RIGIDITY, LEAST_WEIGHT)
    weights /= weights.sum()
    center, middle = weights @ MEAN_FACE, weights @ landmarks
    shape = MEAN_FACE - center
    covariance = (weights[:, None] * shape).T @ shape + np.diag((0, 0, DEPTH_RIDGE))
    affine = (landmarks - middle[:, None]).mT @ (weights[:, None] * shape) @ np.linalg.inv(covariance)
    left, stretch, right = np.linalg.svd(affine, full_matrices=False)
    first, second = np.moveaxis(left @ right, 1, 0)
    rotation = np.stack((first, second, np.cross(first, second)), axis=1)
    scale = np.maximum(stretch.mean(axis=1), LEAST_SCALE)
    return HeadPose(rotation, scale, middle - scale[:, None] * (rotation[:, :2] @ center))
