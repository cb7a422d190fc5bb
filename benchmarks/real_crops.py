"""Crops and landmarks of the real clips, the inputs of most benchmarks."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import shared_path
from faceanim.config import Params, load_params
from faceanim.faces.crop_stage import crop_videos
from faceanim.faces.landmark_stage import detect_landmarks
from faceanim.ingest.download import download_videos
from faceanim.ingest.index import build_index

PARAMS: Params = load_params(Path("profiles/voxceleb.yaml"))

EXPRESSIVE_PEOPLE = ("liveportrait_d10", "liveportrait_d18", "liveportrait_d5", "liveportrait_d6")
"""Four people whose mouths open widest, of whom a network must be able to learn everything by heart."""
HELD_OUT_PEOPLE = (
    "dfrf_a",
    "grid_sbia1a",
    "hdtf_d",
    "iplap_a",
    "liveportrait_d14",
    "liveportrait_d5",
    "liveportrait_s32",
    "lrcar_p07",
    "lrcar_p14",
    "lrcar_p19",
    "lrcar_p25",
    "lrcar_p30",
    "paddlegan_fom_dv",
    "retalk_2",
    "styletalk_e",
    "styletalk_j",
    "vox_c",
    "vox_j",
)
"""People on whom the quality benchmark scores: every fifth of the clips' and the people's, by name. The list
is fixed, so that figures can be compared as people are added."""


def list_clips() -> list[str]:
    """List the names of the real clips beside the checkout, sorted."""
    return sorted(path.name for path in shared_path("faces", "clips").iterdir())


def make_crops(names: Sequence[str], folder: Path, params: Params = PARAMS, copies: int = 1) -> None:
    """Index, fetch and crop real clips into `crops.parquet` and `crops` in a folder.

    Args:
        names: names of the clips beside the checkout, each of which shows a different person.
        folder: empty folder.
        params: parameters; by default those of the profile `voxceleb`.
        copies: number of copies of each clip, for more work.
    """
    for name in names:
        for suffix in ("", *(f"-{number}" for number in range(1, copies))):
            shutil.copytree(shared_path("faces", "clips", name), folder / "clips" / f"{name}{suffix}")
    crop_folder(folder / "clips", folder, params)


def make_people(
    folder: Path,
    params: Params,
    names: Sequence[str] | None = None,
    held_out: Sequence[str] = HELD_OUT_PEOPLE,
) -> None:
    """Crop the clips of people beside the checkout, and detect their landmarks.

    Args:
        folder: folder to write.
        params: parameters of the stages.
        names: names of the people; None: all.
        held_out: names of those for the test split.
    """
    videos = folder / "people"
    videos.mkdir(parents=True)
    for kind in ("clips", "people"):
        for person in sorted(shared_path("faces", kind).iterdir()):
            if names is None or person.name in names:
                (videos / person.name).symlink_to(person)
    crop_folder(videos, folder, params, test_people=tuple(held_out), test_fraction=0.0)
    make_landmarks(folder, params)


def crop_folder(videos: Path, folder: Path, params: Params, **split: object) -> None:
    """Index, fetch and crop a folder of videos into `crops.parquet` and `crops` in another folder.

    Args:
        videos: folder with a subfolder for each person.
        folder: folder to write.
        params: parameters of the stages.
        split: other values of the index's parameters.
    """
    source = {"source": "folder", "path": str(videos)} | split
    index, downloads = folder / "index.parquet", folder / "download.parquet"
    build_index(params.index.model_copy(update=source), index)
    fetched = folder / "videos"
    download_videos(params.download, params.run, index, fetched, downloads, map_inline, ignore_progress)
    outs = (folder / "crops", folder / "crops.parquet")
    crop_videos(params.crop, params.run, index, downloads, *outs, map_inline, ignore_progress)


def make_landmarks(folder: Path, params: Params) -> None:
    """Detect the landmarks of the crops in a folder, into its subfolder `landmarks`."""
    tables = (folder / "crops.parquet", folder / "crops", folder / "landmarks")
    detect_landmarks(params.landmarks, params.run, *tables, map_inline, ignore_progress)


def map_inline(job: Any, shards: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
    """Process shards in this process, which may be pinned to one core; a `MapShards`."""
    for shard in shards:
        yield [job.process(item) for item in shard]


def ignore_progress(done: int, total: int, note: str = "") -> None:
    """Discard progress; a `ProgressCallback`."""
