"""A small data set of crops, as the stages `crop` and `landmarks` write one."""

from fractions import Fraction

from skimage.data import astronaut

from faceanim.data.clips import write_clip
from faceanim.schemas import CROPS, landmarks_schema
from faceanim.tables import write_table

SIZE = 96


def write_crops(folder, clips=3, frames=6, missed=(), **changes):
    """Crops of the astronaut that moves to the left, a clip a person; the last person is held out."""
    rows = []
    for clip in range(clips):
        pictures = [
            astronaut()[20 + clip : 20 + clip + SIZE, 170 + n : 170 + n + SIZE] for n in range(frames)
        ]
        path = folder / f"clip{clip}.avi"
        offsets, lengths = write_clip(path, pictures, Fraction(25), 95)
        rows.append(
            {
                "crop_id": f"clip{clip}",
                "clip_id": f"clip{clip}",
                "person_id": f"p{clip}",
                "split": "test" if clip == clips - 1 else "train",
                "path": str(path),
                "first_frame": 0,
                "last_frame": frames - 1,
                "fps": 25.0,
                "status": "ok",
                "reason": "none",
                "frame_offsets": offsets,
                "frame_lengths": lengths,
            }
            | changes
        )
        found = [
            {
                "crop_id": f"clip{clip}",
                "frame": n,
                "detected": n not in missed,
                "points": None if n in missed else [0] * 4,
            }
            for n in range(frames)
        ]
        write_table(found, landmarks_schema(2), folder / "landmarks" / f"clip{clip}.parquet")
    write_table(rows, CROPS, folder / "crops.parquet")
    return folder / "crops.parquet", folder / "landmarks"
