"""Landmark tables, corners of eyes and mouth in each landmark set, and landmarks that guide keypoints.

The ten guides are target positions of keypoints at the eyes, the mouth and the outline of the head. Each is
the mean of a few landmarks, which is steadier than a single one. MediaPipe's eye guides are the irises, so
the first two keypoints follow the gaze. dlib has no irises, so they follow the eyes.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from faceanim.errors import FaceanimError

Points = npt.NDArray[np.float32]
"""(P, 2), x then y; in pixels of an image, the center of the first pixel is 0."""
DetectedPoints = tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]
"""Landmarks of a crop's frames: detected (N,), and points (N, P, 2) in crop pixels, NaN if not detected."""

EYE_CORNERS = {"ibug68": ((36, 39), (42, 45)), "mediapipe478": ((33, 133), (362, 263))}
"""Corners of the eyes by scheme: (outer, inner) of the eye on the image left, (inner, outer) on the right."""
MOUTH_CORNERS = {"ibug68": (48, 54), "mediapipe478": (61, 291)}
"""Corners of the mouth by scheme: (image left, image right)."""

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
"""Landmarks of each guide, by number of points, which identifies the scheme (ibug68, mediapipe478)."""

# fmt: off
IBUG68 = (
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356, 70, 63, 105, 66, 107,
    336, 296, 334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305, 33, 160, 158, 133, 153, 144, 362, 385, 387,
    263, 373, 380, 61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)
"""Landmarks of MediaPipe's face mesh that stand for the 68 of iBUG's scheme."""
MIRRORED_IBUG68 = (
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),
)
"""Permutation of iBUG's landmarks when the image is mirrored."""
# fmt: on
MIRRORED_GUIDES = [1, 0, 2, 4, 3, 5, 6, 7, 9, 8]
"""Permutation of the guides when the image is mirrored."""


def load_landmarks(folder: Path, video_id: str) -> dict[str, DetectedPoints]:
    """Load the landmarks of a video's crops from its table, which holds one crop after another, by frame.

    Args:
        folder: folder of the tables.
        video_id: id of the video.

    Returns:
        Landmarks by crop id.

    Raises:
        FaceanimError: the video has no table.
    """
    path = folder / f"{video_id}.parquet"
    if not path.is_file():
        raise FaceanimError(f"{path} is missing; run the stage that writes it (`dvc repro landmarks`)")
    with pq.ParquetFile(path) as file:  # takes two thirds of the time of read_table
        table = file.read(columns=["crop_id", "detected", "points"])
    count = int(table.schema.field("points").metadata[b"points"])
    detected = table["detected"].to_numpy()
    points = np.full((len(detected), count, 2), np.nan, dtype=np.float32)
    points[detected] = pc.list_flatten(table["points"]).to_numpy().reshape(-1, count, 2)
    crops = table["crop_id"].value_counts()
    ends = np.cumsum(crops.field("counts"))
    parts = zip(np.split(detected, ends), np.split(points, ends), strict=True)  # the last part is empty
    return dict(zip(crops.field("values").to_pylist(), parts, strict=False))


def compute_guides(landmarks: Points) -> Points:
    """Compute the target positions of a frame's guided keypoints.

    Args:
        landmarks: (P, 2), x then y.

    Returns:
        (GUIDED_KEYPOINTS, 2), in the units of the landmarks.

    Raises:
        FaceanimError: P is not the number of points of a supported scheme.
    """
    groups = GUIDE_LANDMARKS.get(len(landmarks))
    if groups is None:
        raise FaceanimError(
            f"cannot guide keypoints with {len(landmarks)} landmarks: unknown scheme; "
            "set train_animation.losses.landmarks to 0"
        )
    return np.stack([landmarks[list(group)].mean(axis=0) for group in groups])


def normalize_landmarks(landmarks: Points, side: int, size: int) -> Points:
    """Convert landmarks to the units of the networks: [-1, 1], the centers of the outermost pixels.

    Args:
        landmarks: (..., 2), x then y, in pixels of a square image.
        side: side of that image, in pixels.
        size: side to which the image is resized for the network, in pixels.
    """
    from_edge = (landmarks + 0.5) * (size / side)
    return np.asarray((2 * from_edge - size) / (size - 1), np.float32)


def edges_to_centers(landmarks: Points, size: int) -> Points:
    """Convert landmarks in [-1, 1] from the outer edges of an image to the centers of its outermost pixels.

    Args:
        landmarks: (..., 2), where -1 and 1 are the outer edges of the outermost pixels.
        size: side of the image, in pixels.
    """
    return np.asarray(landmarks * (size / (size - 1)), np.float32)


def select_ibug68(landmarks: Points) -> Points:
    """Select iBUG's 68 landmarks from those of a supported scheme.

    Args:
        landmarks: (..., P, 2).

    Returns:
        (..., 68, 2).
    """
    if landmarks.shape[-2] == len(IBUG68):
        return landmarks
    return np.asarray(landmarks[..., list(IBUG68), :], np.float32)
