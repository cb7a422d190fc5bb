"""Reading the landmarks tables, for those who only use what the detectors found."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from faceanim.errors import FaceanimError

Found = tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]
"""Of a crop's frames: detected (N,), and points (N, P, 2) in crop pixels, NaN where not detected."""


def load_landmarks(folder: Path, clip_id: str) -> dict[str, Found]:
    """The landmarks of a clip's crops, by crop.

    Raises:
        FaceanimError: there is no table of that clip.
    """
    path = folder / f"{clip_id}.parquet"
    if not path.is_file():
        raise FaceanimError(f"{path} is missing; run the stage that writes it (`dvc repro landmarks`)")
    table = pq.read_table(path, columns=["crop_id", "frame", "detected", "points"])
    count = int(table.schema.field("points").metadata[b"points"])
    return {
        crop_id: _arrays(table.filter(pc.equal(table["crop_id"], crop_id)).sort_by("frame"), count)
        for crop_id in sorted(set(table["crop_id"].to_pylist()))
    }


def _arrays(part: pa.Table, count: int) -> Found:
    detected = part["detected"].to_numpy().astype(bool)
    points = np.full((len(detected), count, 2), np.nan, dtype=np.float32)
    points[detected] = pc.list_flatten(part["points"]).to_numpy().reshape(-1, count, 2)
    return detected, points
