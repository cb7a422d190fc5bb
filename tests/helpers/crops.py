"""A small data set of crops, as written by the stages `crop` and `landmarks`."""

from fractions import Fraction
from typing import Any

from skimage.data import astronaut

from faceanim.media.mjpeg import write_mjpeg
from faceanim.schemas import CROPS, landmarks_schema
from faceanim.tables import write_table

SIZE = 96
POINTS = ((30, 20), (50, 40))
"""x and y of the points used as landmarks in the first frame; they move to the left with the image."""
MANY_POINTS = tuple((20 + n % 40, 30 + n // 2) for n in range(68))
"""As many points as dlib detects."""


def write_crops(folder, clips=3, frames=6, missed=(), per_video=1, points=POINTS, **changes):
    """Write crops of the astronaut moving to the left, one video per person; the last person is held out.

    Args:
        folder: folder to write to.
        clips: number of crops.
        frames: frames of each crop.
        missed: frames without landmarks.
        per_video: crops of each video.
        points: landmarks of the first frame.
        changes: other values of the columns.

    Returns:
        Path of the table of crops, and the folder of the landmarks.
    """
    rows: list[dict[str, Any]] = []
    tables: dict[str, list[dict[str, Any]]] = {}
    for clip in range(clips):
        video = clip // per_video
        images = [astronaut()[20 + clip : 20 + clip + SIZE, 170 + n : 170 + n + SIZE] for n in range(frames)]
        path = folder / f"clip{clip}.avi"
        offsets, lengths = write_mjpeg(path, images, Fraction(25), 95)
        rows.append(
            {
                "crop_id": f"clip{clip}",
                "clip_id": f"clip{clip}",
                "video_id": f"video{video}",
                "person_id": f"p{video}",
                "split": "test" if video == (clips - 1) // per_video else "train",
                "path": str(path),
                "first_frame": 0,
                "last_frame": frames - 1,
                "fps": 25.0,
                "status": "ok",
                "reason": "none",
                "frame_offsets": offsets,
                "frame_lengths": lengths,
                "faces": [10.0, 10.0, 80.0, 80.0] * frames,
                "seen": [True] * frames,
            }
            | changes
        )
        tables.setdefault(f"video{video}", []).extend(
            {
                "crop_id": f"clip{clip}",
                "frame": n,
                "detected": n not in missed,
                "points": None if n in missed else [edge for x, y in points for edge in (x - n, y - clip)],
            }
            for n in range(frames)
        )
    for video_id, landmarks in tables.items():
        write_table(landmarks, landmarks_schema(len(points)), folder / "landmarks" / f"{video_id}.parquet")
    write_table(rows, CROPS, folder / "crops.parquet")
    return folder / "crops.parquet", folder / "landmarks"
