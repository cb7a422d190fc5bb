"""Crops of real clips, and their landmarks, for the benchmarks of what comes after them."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import shared
from faceanim.config import Params, load_params
from faceanim.faces.crop_stage import crop_videos
from faceanim.faces.landmark_stage import detect_landmarks
from faceanim.ingest.download import download_videos
from faceanim.ingest.index import build_index

PARAMS: Params = load_params(Path("profiles/voxceleb.yaml"))


def make_crops(names: Sequence[str], folder: Path, params: Params = PARAMS, copies: int = 1) -> None:
    """Index, fetch and crop real clips: `crops.parquet` and `crops` in a folder.

    Args:
        names: of the clips beside the checkout, each of which is a person.
        folder: empty.
        params: by default VoxCeleb's.
        copies: of each clip, for more work.
    """
    for name in names:
        for suffix in ("", *(f"-{number}" for number in range(1, copies))):
            shutil.copytree(shared("faces", "clips", name), folder / "clips" / f"{name}{suffix}")
    source = {"source": "folder", "path": str(folder / "clips")}
    index, fetched = folder / "index.parquet", folder / "download.parquet"
    build_index(params.index.model_copy(update=source), index)
    download_videos(params.download, params.run, index, folder / "videos", fetched, inline, ignore)
    out = folder / "crops.parquet"
    crop_videos(params.crop, params.run, index, fetched, folder / "crops", out, inline, ignore)


def make_landmarks(folder: Path, params: Params) -> None:
    """Find the landmarks of the crops in a folder: `landmarks` in it."""
    tables = (folder / "crops.parquet", folder / "crops", folder / "landmarks")
    detect_landmarks(params.landmarks, params.run, *tables, inline, ignore)


def inline(work: Any, shards: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
    """A `MapShards` in this process, which is the pinned one."""
    for shard in shards:
        yield [work.process(item) for item in shard]


def ignore(done: int, total: int, note: str = "") -> None:
    """Progress that nobody looks at."""
