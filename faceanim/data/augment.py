"""Augmentation of training pairs: both frames, and the points on them, in the same way.

For the motion between the frames must stay what it was.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from faceanim.config import AugmentConfig
from faceanim.data.dataset import mirror, random_tint
from faceanim.data.pictures import Frame
from faceanim.faces.guides import MIRRORED

Points = NDArray[np.float32]
NO_GUIDES: Points = np.zeros((0, 2), np.float32)


@dataclass(frozen=True)
class GuidedPair:
    """Two frames of one crop, with the places of their guided keypoints.

    Attributes:
        frames: source and driving, each (S, S, 3), RGB in [0, 255].
        guides: of each, (G, 2), x then y in pixels, 0 being the first pixel's centre; G is 0 without guides.
    """

    frames: tuple[Frame, Frame]
    guides: tuple[Points, Points]


def augment(pair: GuidedPair, config: AugmentConfig, rng: np.random.Generator) -> GuidedPair:
    """Mirror, move, tint and darken a pair."""
    size = len(pair.frames[0])
    if config.mirror and rng.random() < 0.5:
        pair = mirrored(pair)
    matrix = random_affine(size, config, rng)
    table = random_tint(config.colour, rng)
    source, driving = (cv2.LUT(moved(frame, matrix), table) for frame in pair.frames)
    source_guides, driving_guides = (moved_points(points, matrix) for points in pair.guides)
    return GuidedPair((source, driving), (source_guides, driving_guides))


def mirrored(pair: GuidedPair) -> GuidedPair:
    """Left and right changed: a left eye becomes a right one."""
    last = len(pair.frames[0]) - 1
    source, driving = (mirror(frame) for frame in pair.frames)
    if len(pair.guides[0]) == 0:
        return replace(pair, frames=(source, driving))
    sides = np.array([-1, 1], np.float32), np.array([last, 0], np.float32)
    guides = [(points * sides[0] + sides[1])[MIRRORED] for points in pair.guides]
    return GuidedPair((source, driving), (guides[0], guides[1]))


def random_affine(size: int, config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """A turn, a scale, a stretch of the width and a shift, all about the centre: a (2, 3) matrix."""
    centre = (size - 1) / 2
    scale = np.exp(rng.uniform(-1, 1) * np.log1p(config.scale))
    turn = rng.uniform(-1, 1) * config.rotation
    matrix = np.asarray(cv2.getRotationMatrix2D((centre, centre), turn, scale), np.float64)
    stretch = np.exp(rng.uniform(-1, 1) * np.log1p(config.stretch))
    matrix[0] = stretch * (matrix[0] - [0, 0, centre]) + [0, 0, centre]
    matrix[:, 2] += rng.uniform(-1, 1, size=2) * config.shift * size
    return matrix


def moved(frame: Frame, matrix: NDArray[np.float64]) -> Frame:
    """The frame under an affine matrix, its border repeated."""
    height, width = frame.shape[:2]
    return np.asarray(
        cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def moved_points(points: Points, matrix: NDArray[np.float64]) -> Points:
    """Where points (G, 2) of a frame lie once `moved` has moved it."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)
