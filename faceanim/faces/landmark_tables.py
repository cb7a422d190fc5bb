"""Reading the landmarks tables, for those who only use what the detectors found."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from faceanim.errors import FaceanimError

Found = tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]
"""Of a crop's frames: detected (N,), and points (N, P, 2) in crop pixels, NaN where not detected."""


def load_landmarks(folder: Path, video_id: str) -> dict[str, Found]:
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
