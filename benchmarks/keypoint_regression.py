"""Do learnt keypoints say where the face's landmarks are? A linear regression from the ones to the others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PosedFrames:
    """The keypoints and the landmarks of a clip's frames.

    Attributes:
        keypoints: (N, K, 2).
        points: (N, P, 2), in any unit.
    """

    keypoints: NDArray[np.float32]
    points: NDArray[np.float32]


def landmark_error(
    train: Sequence[PosedFrames], held_out: Sequence[PosedFrames], eyes: tuple[int, int]
) -> float:
    """Error of landmarks told from keypoints by least squares, as a share of the inter-ocular distance.

    Keypoints that follow the face give little; such that follow the background or nothing give what the
    mean face would. It is the regression of Jakab et al. (2018), with a constant, since keypoints and
    landmarks need not share an origin.

    Args:
        train: the clips to fit the regression to.
        held_out: other clips, of other people.
        eyes: the landmarks that are the outer corners of the eyes.

    Returns:
        The mean over the held-out clips of the mean over their frames and landmarks; 0.05 is 5 %.
    """
    wanted = np.concatenate([clip.points.reshape(len(clip.points), -1) for clip in train])
    weights = np.linalg.lstsq(np.concatenate([_design(clip) for clip in train]), wanted, rcond=None)[0]
    return float(np.mean([_error(clip, weights, eyes) for clip in held_out]))


def _design(clip: PosedFrames) -> NDArray[np.float64]:
    """(N, 2 K + 1), the keypoints' coordinates and a one."""
    coordinates = clip.keypoints.reshape(len(clip.keypoints), -1).astype(np.float64)
    return np.pad(coordinates, ((0, 0), (0, 1)), constant_values=1.0)


def _error(clip: PosedFrames, weights: NDArray[np.float64], eyes: tuple[int, int]) -> float:
    found = (_design(clip) @ weights).reshape(clip.points.shape)
    left, right = eyes
    between_eyes = np.linalg.norm(clip.points[:, left] - clip.points[:, right], axis=-1)
    distances = np.linalg.norm(found - clip.points, axis=-1)
    return float(np.mean(distances / between_eyes[:, None]))
