"""Videos for tests: the public-domain portrait of scikit-image, moved across a gray frame."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from skimage.data import astronaut

from faceanim.config import CropConfig, RunConfig
from faceanim.media.encode import write_mp4

FACE = (225, 115)
"""Approximate center of the face in the portrait, in pixels."""

SMALL_CROPS = CropConfig(
    size=64,
    min_size=32,
    min_frames=2,
    max_frames=50,
    min_iou=0.25,
    margin=0.1,
    cut_threshold=0.04,
    jpeg_quality=95,
    decoder="pyav",
)
"""Crops of short videos with small faces."""
RUN = RunConfig(
    workers=2,
    shard_size=2,
    item_timeout_s=120,
    worker_memory_mb=1024,
    task_runner="processes",
    cluster="",
    tracking_uri="",
)


@cache
def _portrait() -> np.ndarray:
    """Load the head of the portrait; decoding the file for each frame would dominate the tests."""
    return astronaut()[:260, 110:340]


def head(size: tuple[int, int], center: tuple[float, float], scale: float = 1.0) -> np.ndarray:
    """Draw the portrait's head on gray, with its face at `center` in a frame of `size` (width, height)."""
    matrix = np.array(
        [
            [scale, 0, center[0] - scale * (FACE[0] - 110)],
            [0, scale, center[1] - scale * FACE[1]],
        ]
    )
    return cv2.warpAffine(
        _portrait(),
        matrix,
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(90, 90, 90),
    )


def moving(count: int, x: Sequence[float], size: tuple[int, int] = (400, 300)) -> Iterator[np.ndarray]:
    """Yield frames in which the head moves from x[0] to x[1]."""
    for center_x in np.linspace(x[0], x[1], count):
        yield head(size, (float(center_x), 140))


def noise(count: int, size: tuple[int, int] = (400, 300)) -> Iterator[np.ndarray]:
    """Yield frames without a face: a slowly changing gradient."""
    for number in range(count):
        ramp = np.linspace(0, 100, size[0]) + number
        yield np.repeat(np.tile(ramp, (size[1], 1))[..., None], 3, axis=2).astype(np.uint8)


def cross_fade(first: Sequence[np.ndarray], second: Sequence[np.ndarray], length: int) -> list[np.ndarray]:
    """Join two shots by a cross-fade of the last `length` frames of one and the first of the other."""
    weights = np.arange(1, length + 1) / (length + 1)
    pairs = zip(first[-length:], second[:length], weights, strict=True)
    mixed = [np.asarray(cv2.addWeighted(a, 1 - weight, b, weight, 0)) for a, b, weight in pairs]
    return [*first[:-length], *mixed, *second[length:]]


def write(path: Path, frames: Iterable[np.ndarray], fps: Fraction = Fraction(25)) -> Path:
    """Write frames to an MP4 file, and return its path."""
    write_mp4(path, frames, fps)
    return path


def inline(job, shards):
    """Process shards in this process: a `MapShards` without child processes, which take seconds to start."""
    for shard in shards:
        yield [job.process(item) for item in shard]


def ignore(done: int, total: int, note: str = "") -> None:
    """Discard a report of progress."""


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder, by relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
