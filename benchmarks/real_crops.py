"""Crops of real clips for the benchmarks of what comes after them."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import shared
from faceanim.config import CropConfig, IndexConfig, Params, load_params
from faceanim.data.download import download
from faceanim.data.index import build_index
from faceanim.faces.crop import crop

PARAMS: Params = load_params(Path("profiles/voxceleb.yaml"))


def make_crops(names: Sequence[str], folder: Path, config: CropConfig = PARAMS.crop) -> None:
    """Index, fetch and crop real clips, at VoxCeleb's settings: `crops.parquet` and `crops` in a folder."""
    for name in names:
        shutil.copytree(shared("faces", "clips", name), folder / "clips" / name)
    clips = IndexConfig(source="folder", path=str(folder / "clips"), test_people=(), test_fraction=0.5)
    index, fetched = folder / "index.parquet", folder / "download.parquet"
    build_index(clips, index)
    download(PARAMS.download, PARAMS.run, index, folder / "videos", fetched, inline, ignore)
    out = folder / "crops.parquet"
    crop(config, PARAMS.run, index, fetched, folder / "crops", out, inline, ignore)


def inline(work: Any, shards: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
    """A `MapShards` in this process, which is the pinned one."""
    for shard in shards:
        yield [work.run(item) for item in shard]


def ignore(done: int, total: int) -> None:
    """Progress that nobody looks at."""
