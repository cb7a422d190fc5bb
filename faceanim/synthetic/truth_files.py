"""Files of the truth about takes: a Parquet table each, a row a frame, with the masks in it as PNG.

The flow between two frames is not stored: T frames have T * (T - 1) pairs, and the seeds in the table's
metadata make each of them anew in milliseconds by `truth.pair_truth`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceanim.errors import FaceanimError
from faceanim.synthetic.head import ACTIONS, Floats
from faceanim.synthetic.people.person import Person
from faceanim.synthetic.take import Take
from faceanim.synthetic.truth import CLASSES, LANDMARKS, FrameTruth, frame_truth
from faceanim.tables import read_table, write_arrow

VERSION = "1"
"""Version of the truth; increment it when columns or their meaning change."""
SCHEME = "mediapipe478"
"""Name of the set of landmarks."""
VECTORS = {
    "landmarks": (pa.float32(), (LANDMARKS, 2)),
    "visible": (pa.bool_(), (LANDMARKS,)),
    "gaze": (pa.float32(), (2, 3)),
    "head": (pa.float32(), (3,)),
    "pivot": (pa.float32(), (3,)),
    "actions": (pa.float32(), (len(ACTIONS),)),
}
"""Columns of fixed-size lists: type of the items, and the shape that they have as an array."""
SCHEMA = pa.schema(
    [
        pa.field("frame", pa.int32(), nullable=False),
        *(
            pa.field(
                name, pa.list_(pa.field("item", kind, nullable=False), int(np.prod(shape))), nullable=False
            )
            for name, (kind, shape) in VECTORS.items()
        ),
        pa.field("mask", pa.binary(), nullable=False),
    ]
)
"""Columns of a take's table; see `FrameTruth` for their meaning."""


@dataclass(frozen=True)
class TakeTruth:
    """Truth about the T frames of a take, as read from its file.

    Attributes:
        landmarks: (T, 478, 2), in pixels.
        visible: (T, 478).
        gaze: (T, 2, 3).
        head: (T, 3), in radians.
        pivot: (T, 3), in m.
        actions: (T, 52).
        masks: (T, H, W), numbers of classes in `truth.CLASSES`; empty if they were not read.
        metadata: person, take, size and names; see `describe_take`.
    """

    landmarks: Floats
    visible: NDArray[np.bool_]
    gaze: Floats
    head: Floats
    pivot: Floats
    actions: Floats
    masks: NDArray[np.uint8]
    metadata: Mapping[str, Any]


def describe_take(person: Person, take: Take) -> dict[str, Any]:
    """Describe a take: what makes it, its size, its lens, and the names of landmarks, actions and classes."""
    view = take.view
    return {
        "version": VERSION,
        "scheme": SCHEME,
        "person_seed": person.seed,
        "take_seed": take.seed,
        "frames": len(take),
        "fps": take.motion.fps,
        "width": view.width,
        "height": view.height,
        "focal": view.focal,
        "center": list(view.center),
        "actions": list(ACTIONS),
        "classes": list(CLASSES),
    }


def write_truth(folder: Path, name: str, person: Person, take: Take) -> Path:
    """Write the truth about a take to `<name>.parquet`, atomically; the same seeds give the same bytes.

    Returns:
        The path of the file.
    """
    rows = (frame_truth(person, take, number) for number in range(len(take)))
    return write_frames(folder / f"{name}.parquet", list(rows), describe_take(person, take))


def write_frames(path: Path, frames: list[FrameTruth], metadata: Mapping[str, Any]) -> Path:
    """Write the truth about frames that was computed while they were rendered; see `write_truth`."""
    columns: list[pa.Array] = [pa.array(range(len(frames)), pa.int32())]
    for name, (kind, shape) in VECTORS.items():
        values = np.stack([getattr(frame, name) for frame in frames])
        columns.append(
            pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), kind), type=SCHEMA.field(name).type)
        )
        assert values.shape[1:] == shape
    columns.append(pa.array([_encode_mask(frame.mask) for frame in frames], pa.binary()))
    schema = SCHEMA.with_metadata({"truth": json.dumps(metadata, sort_keys=True)})
    write_arrow(pa.Table.from_arrays(columns, schema=schema), path)
    return path


def read_truth(path: Path, masks: bool = True) -> TakeTruth:
    """Read the truth about a take.

    Args:
        path: file that `write_truth` wrote.
        masks: whether to decode the masks, which takes most of the time.

    Raises:
        FaceanimError: the file is missing, damaged or of another version.
    """
    table = read_table(path, SCHEMA)
    metadata = json.loads((table.schema.metadata or {}).get(b"truth", b"{}"))
    if metadata.get("version") != VERSION:
        raise FaceanimError(f"cannot read {path}: its truth is of another version; render it again")
    arrays = {
        name: pc.list_flatten(table[name]).to_numpy().reshape(len(table), *shape)
        for name, (_, shape) in VECTORS.items()
    }
    size = (metadata["height"], metadata["width"])
    images = np.zeros((len(table) if masks else 0, *size), np.uint8)
    for image, content in zip(images, table["mask"].to_pylist() if masks else [], strict=True):
        image[:] = _decode_mask(content, size, path)
    return TakeTruth(**arrays, masks=images, metadata=metadata)


def _encode_mask(mask: NDArray[np.uint8]) -> bytes:
    done, content = cv2.imencode(".png", mask)
    assert done
    return content.tobytes()


def _decode_mask(content: bytes, size: tuple[int, int], path: Path) -> NDArray[np.uint8]:
    mask = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None or mask.shape != size:
        raise FaceanimError(f"cannot read {path}: a mask is damaged; render it again")
    return np.asarray(mask, np.uint8)
