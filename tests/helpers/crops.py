"""A small data set of crops, as the stages `crop` and `landmarks` write one."""

from fractions import Fraction

from skimage.data import astronaut

from faceanim.media.mjpeg import write_mjpeg
from faceanim.schemas import CROPS, landmarks_schema
from faceanim.tables import write_table

SIZE = 96
POINTS = ((30, 20), (50, 40))
"""x and y of what stands for landmarks in the first frame; they move with the picture, to the left."""
MANY_POINTS = tuple((20 + n % 40, 30 + n // 2) for n in range(68))
"""As many as dlib finds."""


def write_crops(folder, clips=3, frames=6, missed=(), per_video=1, points=POINTS, **changes):
    """Crops of the astronaut that moves to the left, a video a person; the last person is held out."""
    rows, found = [], {}
    for clip in range(clips):
        video = clip // per_video
        pictures = [
            astronaut()[20 + clip : 20 + clip + SIZE, 170 + n : 170 + n + SIZE] for n in range(frames)
        ]
        path = folder / f"clip{clip}.avi"
        offsets, lengths = write_mjpeg(path, pictures, Fraction(25), 95)
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
        found.setdefault(f"video{video}", []).extend(
            {
                "crop_id": f"clip{clip}",
                "frame": n,
                "detected": n not in missed,
                "points": None if n in missed else [edge for x, y in points for edge in (x - n, y - clip)],
            }
            for n in range(frames)
        )
    for video_id, landmarks in found.items():
        write_table(landmarks, landmarks_schema(len(points)), folder / "landmarks" / f"{video_id}.parquet")
    write_table(rows, CROPS, folder / "crops.parquet")
    return folder / "crops.parquet", folder / "landmarks"
