"""A small data set of crops, as written by the stages `crop` and `landmarks`."""

from collections.abc import Sequence
from fractions import Fraction

from skimage.data import astronaut

from faceanim.media.mjpeg import write_mjpeg
from faceanim.schemas import CROPS, landmarks_schema
from faceanim.tables import Row, write_table

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
    rows: list[Row] = []
    tables: dict[str, list[Row]] = {}
    for clip in range(clips):
        video = clip // per_video
        images = [astronaut()[20 + clip : 20 + clip + SIZE, 170 + n : 170 + n + SIZE] for n in range(frames)]
        path = folder / f"clip{clip}.avi"
        offsets, lengths = write_mjpeg(path, images, Fraction(25), 95)
        split = "test" if video == (clips - 1) // per_video else "train"
        ids = {"crop_id": f"clip{clip}", "clip_id": f"clip{clip}", "video_id": f"video{video}"}
        columns = {"person_id": f"p{video}", "split": split, "path": str(path)}
        stored = {"frame_offsets": offsets, "frame_lengths": lengths}
        rows.append(ids | columns | stored | describe_frames(frames) | changes)
        tables.setdefault(f"video{video}", []).extend(
            make_landmarks(f"clip{clip}", n, None if n in missed else [(x - n, y - clip) for x, y in points])
            for n in range(frames)
        )
    for video_id, landmarks in tables.items():
        write_table(landmarks, landmarks_schema(len(points)), folder / "landmarks" / f"{video_id}.parquet")
    write_table(rows, CROPS, folder / "crops.parquet")
    return folder / "crops.parquet", folder / "landmarks"


def describe_frames(frames: int) -> Row:
    """Return the columns of an accepted crop that depend on its number of frames."""
    return {
        "first_frame": 0,
        "last_frame": frames - 1,
        "fps": 25.0,
        "status": "ok",
        "reason": "none",
        "faces": [10.0, 10.0, 80.0, 80.0] * frames,
        "seen": [True] * frames,
    }


def make_landmarks(crop_id: str, frame: int, points: Sequence[tuple[int, int]] | None) -> Row:
    """Return the row of a frame's landmarks; None: the detector missed the face."""
    flat = None if points is None else [edge for point in points for edge in point]
    return {"crop_id": crop_id, "frame": frame, "detected": points is not None, "points": flat}
