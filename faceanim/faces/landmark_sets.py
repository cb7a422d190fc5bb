"""Which landmarks guide which keypoint: the eyes, the mouth and the outline of the head.

Each of the ten is the mean of a few landmarks, steadier than one. MediaPipe's eyes are its irises,
so there the first two keypoints follow the gaze; dlib knows no irises, and they follow the eyes.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from faceanim.errors import FaceanimError

EYE_CORNERS = {"ibug68": ((36, 39), (42, 45)), "mediapipe478": ((33, 133), (362, 263))}
"""By scheme: outer and inner (then inner and outer) corner of the eye on the image's left and right."""
MOUTH_CORNERS = {"ibug68": (48, 54), "mediapipe478": (61, 291)}
"""By scheme: the mouth's corners, image left then right."""

DetectedPoints = tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]
"""Of a crop's frames: detected (N,), and points (N, P, 2) in crop pixels, NaN where not detected."""


def load_landmarks(folder: Path, video_id: str) -> dict[str, DetectedPoints]:
    """The landmarks of a video's crops, by crop; a table has one crop after the other, frame by frame.

    Raises:
        FaceanimError: there is no table of that video.
    """
    path = folder / f"{video_id}.parquet"
    if not path.is_file():
        raise FaceanimError(f"{path} is missing; run the stage that writes it (`dvc repro landmarks`)")
    with pq.ParquetFile(path) as file:  # at two thirds of what read_table costs
        table = file.read(columns=["crop_id", "detected", "points"])
    count = int(table.schema.field("points").metadata[b"points"])
    detected = table["detected"].to_numpy()
    points = np.full((len(detected), count, 2), np.nan, dtype=np.float32)
    points[detected] = pc.list_flatten(table["points"]).to_numpy().reshape(-1, count, 2)
    crops = table["crop_id"].value_counts()
    ends = np.cumsum(crops.field("counts"))
    parts = zip(np.split(detected, ends), np.split(points, ends), strict=True)  # the last is empty
    return dict(zip(crops.field("values").to_pylist(), parts, strict=False))


Points = NDArray[np.float32]

GUIDE_LANDMARKS = {
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

MIRRORED_GUIDES = [1, 0, 2, 4, 3, 5, 6, 7, 9, 8]
"""Which of them each becomes when left and right change."""


def compute_guides(landmarks: Points) -> Points:
    """Where a frame's guided keypoints belong.

    Args:
        landmarks: (P, 2), x then y.

    Returns:
        (GUIDED_KEYPOINTS, 2), in the same units.

    Raises:
        FaceanimError: no detector here finds that many points.
    """
    groups = GUIDE_LANDMARKS.get(len(landmarks))
    if groups is None:
        raise FaceanimError(
            f"landmarks of {len(landmarks)} points guide no keypoints; "
            "set train_animation.losses.landmarks to 0"
        )
    return np.stack([landmarks[list(group)].mean(axis=0) for group in groups])
