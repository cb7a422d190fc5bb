"""Linear regression from learned keypoints to landmarks, which shows whether keypoints follow the face."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PosedFrames:
    """Keypoints and landmarks of the frames of a clip.

    Attributes:
        keypoints: (N, K, 2).
        points: (N, P, 2), landmarks in any unit.
    """

    keypoints: NDArray[np.float32]
    points: NDArray[np.float32]


def landmark_error(
    train: Sequence[PosedFrames], held_out: Sequence[PosedFrames], eyes: tuple[int, int]
) -> float:
    """Compute the error of landmarks predicted from keypoints, relative to the inter-ocular distance.

    The error is small if the keypoints follow the face; keypoints that follow the background, or nothing,
    give the error of the mean face. This is the least-squares regression of Jakab et al. (2018) with a
    constant term, since keypoints and landmarks need not share an origin.

    Args:
        train: clips to which the regression is fitted.
        held_out: clips of other people, on which it is scored.
        eyes: indices of the landmarks at the outer corners of the eyes.

    Returns:
        Mean over the held-out clips of the mean over their frames and landmarks; 0.05 is 5 %.
    """
    targets = np.concatenate([clip.points.reshape(len(clip.points), -1) for clip in train])
    inputs = np.concatenate([_design_matrix(clip) for clip in train])
    weights = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    return float(np.mean([_clip_error(clip, weights, eyes) for clip in held_out]))


def _design_matrix(clip: PosedFrames) -> NDArray[np.float64]:
    """Return the coordinates of the keypoints and a constant 1, (N, 2 K + 1)."""
    coordinates = clip.keypoints.reshape(len(clip.keypoints), -1).astype(np.float64)
    return np.pad(coordinates, ((0, 0), (0, 1)), constant_values=1.0)


def _clip_error(clip: PosedFrames, weights: NDArray[np.float64], eyes: tuple[int, int]) -> float:
    predicted = (_design_matrix(clip) @ weights).reshape(clip.points.shape)
    left, right = eyes
    inter_ocular = np.linalg.norm(clip.points[:, left] - clip.points[:, right], axis=-1)
    distances = np.linalg.norm(predicted - clip.points, axis=-1)
    return float(np.mean(distances / inter_ocular[:, None]))
