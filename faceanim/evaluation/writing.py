"""Writing down an evaluation; what the files are, `record` says."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from faceanim.data.items import file_sha256
from faceanim.evaluation import record
from faceanim.evaluation.candidates import Candidate
from faceanim.evaluation.catalog import METRIC_NAMES, Method, Task
from faceanim.evaluation.instruments import Instruments
from faceanim.evaluation.scoring import IDENTITY_EVERY, Columns
from faceanim.evaluation.test_set import Item, read_frames
from faceanim.inference import Animator, to_float, to_uint8
from faceanim.schemas import FRAME_SCORES, PAIRS, TEST_SET
from faceanim.tables import atomic_path, write_json, write_table

PROTOCOL_VERSION = "2"
"""Raise it when the same predictions would be scored otherwise than before."""
CHECKED_FRAMES = 8
"""Of a clip, in the file by which a copy of the model is checked."""


def write_test_set(todo: Sequence[Item], candidate: Candidate, out: Path) -> None:
    """Write what the figures are of: the protocol, the clips with their hashes, and who drives whom.

    Two evaluations with the same test set write the same bytes, whatever they evaluate: of a candidate, only
    the sizes are in it.
    """
    write_json(
        {
            "version": PROTOCOL_VERSION,
            "size": candidate.size,
            "output_size": candidate.output_size,
            "identity_every": IDENTITY_EVERY,
        },
        out / record.PROTOCOL,
    )
    clips = [
        {**item.driving, "frames": item.frames, "sha256": file_sha256(Path(item.driving["path"]))}
        for item in todo
        if item.task == Task.RECONSTRUCTION
    ]
    write_table(clips, TEST_SET, out / record.CLIPS)
    pairs = [
        {
            "pair_id": item.item_id,
            "source_crop_id": item.source["crop_id"],
            "driving_crop_id": item.driving["crop_id"],
        }
        for item in todo
        if item.task == Task.REENACTMENT
    ]
    write_table(pairs, PAIRS, out / record.PAIRS)


def write_measured_with(tools: Instruments, out: Path) -> None:
    """Write which networks measured, and what was left out for want of one."""
    write_json({"networks": tools.networks, "left_out": tools.left_out}, out / record.MEASURED_WITH)


@contextmanager
def frame_table(path: Path) -> Iterator[Callable[[Item, str, Columns], None]]:
    """A table of FRAME_SCORES that is written item by item, whole or not at all: takes a method's columns."""
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, FRAME_SCORES) as writer:

        def write(item: Item, method: str, columns: Columns) -> None:
            count = item.frames
            names = {
                "task": str(item.task),
                "method": str(method),
                "item_id": item.item_id,
                "person_id": item.driving["person_id"],
            }
            arrays = [pa.repeat(value, count) for value in names.values()]
            arrays.append(pa.array(range(1, 1 + count), pa.int32()))
            arrays += [pa.array(columns[name], from_pandas=True) for name in METRIC_NAMES]  # NaN as null
            writer.write_table(pa.Table.from_arrays(arrays, schema=FRAME_SCORES))

        yield write


def least_like_source(frames: Path) -> dict[str, int]:
    """By item_id of the reconstructions, the number of the driving frame least like the source."""
    table = pq.read_table(frames, columns=["task", "method", "item_id", "frame", "psnr"])
    copied = table.filter(
        (pc.field("task") == str(Task.RECONSTRUCTION)) & (pc.field("method") == str(Method.COPY_SOURCE))
    )
    rows = sorted(copied.to_pylist(), key=lambda row: -row["psnr"])
    return {row["item_id"]: row["frame"] for row in rows}  # the last of an item stays


def write_check(animator: Animator, item: Item, path: Path) -> None:
    """Write a few frames with what the model makes of them, by which a copy of it is checked."""
    numbers = np.unique(np.linspace(1, item.frames, CHECKED_FRAMES).round().astype(np.int32))
    source = read_frames(item.source, slice(1))
    driving = np.concatenate([read_frames(item.driving, slice(n, n + 1)) for n in numbers])
    made = animator.frames(animator.prepare(to_float(source)), to_float(driving))
    tensors = {
        "source": source,
        "driving": driving,
        "predicted": to_uint8(animator.enlarge(made)),
        "frames": numbers,
    }
    with atomic_path(path) as temporary:
        # One entry: safetensors writes several in another order each time.
        save_file(tensors, temporary, metadata={"item_id": item.item_id})
