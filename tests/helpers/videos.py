"""Videos that tests make: the public-domain portrait, moved about."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from skimage.data import astronaut

from faceanim.config import RunConfig
from faceanim.media.encode import write_mp4

FACE = (225, 115)
"""About where the portrait's face has its middle, in its own pixels."""

RUN = RunConfig(
    workers=2,
    shard_size=2,
    item_timeout_s=120,
    worker_memory_mb=1024,
    task_runner="processes",
    cluster="",
    tracking_uri="",
)


def head(size: tuple[int, int], centre: tuple[float, float], scale: float = 1.0) -> np.ndarray:
    """The portrait's head on grey, its middle at `centre` in a frame of `size` (width, height)."""
    portrait = astronaut()[:260, 110:340]
    matrix = np.array(
        [
            [scale, 0, centre[0] - scale * (FACE[0] - 110)],
            [0, scale, centre[1] - scale * FACE[1]],
        ]
    )
    return cv2.warpAffine(
        portrait,
        matrix,
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(90, 90, 90),
    )


def moving(count: int, x: Sequence[float], size: tuple[int, int] = (400, 300)) -> Iterator[np.ndarray]:
    """Frames whose head goes from x[0] to x[1]."""
    for place in np.linspace(x[0], x[1], count):
        yield head(size, (float(place), 140))


def noise(count: int, size: tuple[int, int] = (400, 300)) -> Iterator[np.ndarray]:
    """Frames without a face: a slow gradient."""
    for number in range(count):
        ramp = np.linspace(0, 100, size[0]) + number
        yield np.repeat(np.tile(ramp, (size[1], 1))[..., None], 3, axis=2).astype(np.uint8)


def faded(before: Sequence[np.ndarray], behind: Sequence[np.ndarray], length: int) -> list[np.ndarray]:
    """Two shots; over `length` frames the end of one is mixed with more and more of the other's beginning."""
    pairs = zip(before[-length:], behind[:length], np.arange(1, length + 1) / (length + 1), strict=True)
    mixed = [cv2.addWeighted(one, 1 - weight, other, weight, 0) for one, other, weight in pairs]
    return [*before[:-length], *mixed, *behind[length:]]


def write(path: Path, frames: Iterator[np.ndarray], fps: Fraction = Fraction(25)) -> Path:
    write_mp4(path, frames, fps)
    return path


def inline(job, shards):
    """A `MapShards` without processes, which take seconds to start."""
    for shard in shards:
        yield [job.process(item) for item in shard]


def ignore(done: int, total: int, note: str = "") -> None:
    pass


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
