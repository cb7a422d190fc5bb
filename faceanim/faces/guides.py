"""Which landmarks guide which keypoint: the eyes, the mouth and the outline of the head.

Each of the ten is the mean of a few landmarks, steadier than one. MediaPipe's eyes are its irises,
so there the first two keypoints follow the gaze; dlib knows no irises, and they follow the eyes.
"""

import numpy as np
from numpy.typing import NDArray

from faceanim.errors import FaceanimError

Points = NDArray[np.float32]

GUIDES = {
    68: (
        range(36, 42),  # eye, image left
        range(42, 48),  # eye, image right
        (30,),  # tip of the nose
        (48,),  # corner of the mouth, image left
        (54,),  # corner of the mouth, image right
        (50, 51, 52, 61, 62, 63),  # upper lip
        (56, 57, 58, 65, 66, 67),  # lower lip
        (7, 8, 9),  # chin
        (0, 1, 2),  # jaw, image left
        (14, 15, 16),  # jaw, image right
    ),
    478: (
        range(468, 473),
        range(473, 478),
        (1, 4),
        (61,),
        (291,),
        (0, 13),
        (14, 17),
        (152,),
        (93, 127, 234),
        (323, 356, 454),
    ),
}
"""By number of points, which names the scheme (ibug68, mediapipe478): the landmarks of each keypoint."""

MIRRORED = [1, 0, 2, 4, 3, 5, 6, 7, 9, 8]
"""Which of them each becomes when left and right change."""


def guide_points(landmarks: Points) -> Points:
    """Where a frame's guided keypoints belong.

    Args:
        landmarks: (P, 2), x then y.

    Returns:
        (GUIDED_KEYPOINTS, 2), in the same units.

    Raises:
        FaceanimError: no detector here finds that many points.
    """
    groups = GUIDES.get(len(landmarks))
    if groups is None:
        raise FaceanimError(
            f"landmarks of {len(landmarks)} points guide no keypoints; "
            "set train_animation.losses.landmarks to 0"
        )
    return np.stack([landmarks[list(group)].mean(axis=0) for group in groups])
