"""What index, download and crop cost beside the work: VoxCeleb's whole list, with tiny local videos."""

import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks.common import finish, pin, shared
from faceanim.config import Params, load_params
from faceanim.faces.crop_stage import crop_videos
from faceanim.faces.cropping import ClipTarget, crop_video
from faceanim.ingest.download import download_videos
from faceanim.ingest.index import build_index
from faceanim.media.encode import write_mp4
from faceanim.media.video import probe
from faceanim.schemas import INDEX
from faceanim.tables import Row, file_sha256, read_rows, write_table
from faceanim.workers import make_pool_mapper

BUDGET_MS = 2.0
"""Milliseconds a clip a stage may cost beside its work."""
BUDGET_AGAIN_S = 30.0
"""Seconds that a run with nothing new may take."""
FRAMES = 4


def main() -> None:
    """Measure and print."""
    pin()
    params = load_params(Path("profiles/voxceleb.yaml"))
    index_config = params.index.model_copy(update={"path": str(shared("vox", "vox-metadata.csv"))})
    params = params.model_copy(
        update={"index": index_config, "run": params.run.model_copy(update={"workers": 1})}
    )
    print(
        "VoxCeleb's list through index, download and crop, its media replaced by tiny local files; one core."
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index_s = seconds(lambda: build_index(params.index, folder / "index.parquet"))
        rows = read_rows(folder / "index.parquet", INDEX)
        local = tiny(rows, folder / "media")
        write_table(local, INDEX, folder / "index.parquet")
        fetch_s, crop_s = run_stages(params, folder)
        bare_fetch_s, bare_crop_s = bare(params, local, folder)
        again_s = index_s + sum(run_stages(params, folder))
    clips = len(rows)
    cost = {
        "index": index_s / clips * 1000,
        "download": (fetch_s - bare_fetch_s) / clips * 1000,
        "crop": (crop_s - bare_crop_s) / clips * 1000,
    }
    print(
        f"index     {index_s:6.1f} s for {clips:,} clips of {len({row['video_id'] for row in rows}):,} videos"
    )
    print(f"download  {fetch_s:6.1f} s, of which to copy, hash and probe alone takes {bare_fetch_s:.1f} s")
    print(f"crop      {crop_s:6.1f} s, of which to decode, search and write alone takes {bare_crop_s:.1f} s")
    print(f"again     {again_s:6.1f} s for all three with nothing new")
    for stage, milliseconds in cost.items():
        print(f"{stage:9} {milliseconds:6.2f} ms a clip of bookkeeping, of {BUDGET_MS} allowed")
    finish(
        {f"budget_vs_{stage}": BUDGET_MS / value for stage, value in cost.items()}
        | {"budget_vs_second_run": BUDGET_AGAIN_S / again_s}
    )


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def tiny(rows: list[Row], folder: Path) -> list[Row]:
    """The rows with a tiny video of its own for each video, whole for each clip."""
    folder.mkdir()
    grey = [np.full((32, 32, 3), 100 + number, np.uint8) for number in range(FRAMES)]
    write_mp4(folder / "one.mp4", grey, Fraction(25))
    content = (folder / "one.mp4").read_bytes()
    for name in {row["video_id"] for row in rows}:
        (folder / f"{name}.mp4").write_bytes(content)
    whole = {"start_s": 0.0, "end_s": None}
    return [row | whole | {"url": (folder / f"{row['video_id']}.mp4").as_posix()} for row in rows]


def run_stages(params: Params, folder: Path) -> tuple[float, float]:
    """Run download and crop, and give the seconds each took."""
    index, fetched = folder / "index.parquet", folder / "download.parquet"
    map_shards = make_pool_mapper(params.run)
    fetch_s = seconds(
        lambda: download_videos(
            params.download, params.run, index, folder / "videos", fetched, map_shards, lambda *_: None
        )
    )
    outs = (folder / "crops", folder / "crops.parquet")
    crop_s = seconds(
        lambda: crop_videos(params.crop, params.run, index, fetched, *outs, map_shards, lambda *_: None)
    )
    return fetch_s, crop_s


def bare(params: Params, rows: list[Row], folder: Path) -> tuple[float, float]:
    """Seconds that the work alone takes: the same files in a plain loop, with no table and no process."""
    urls = sorted({row["url"] for row in rows})
    clips: dict[str, list[ClipTarget]] = {url: [] for url in urls}
    for row in rows:
        clips[row["url"]].append(ClipTarget(row["clip_id"], 0.0, None, None, None))

    def fetch() -> None:
        for url in urls:
            (folder / "copy.mp4").write_bytes(Path(url).read_bytes())
            file_sha256(folder / "copy.mp4")
            probe(folder / "copy.mp4")

    def crop_all() -> None:
        for url in urls:
            crop_video(Path(url), clips[url], params.crop, folder)

    return seconds(fetch), seconds(crop_all)


if __name__ == "__main__":
    main()
