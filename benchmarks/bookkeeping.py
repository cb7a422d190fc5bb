"""Cost of index, download and crop besides the work itself: VoxCeleb's whole list with tiny local videos."""

import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks.common import create_parser, pin_to_one_core, print_summary, shared_path
from benchmarks.real_crops import ignore_progress
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
"""Time that a stage may take per clip besides its work, in milliseconds."""
BUDGET_AGAIN_S = 30.0
"""Time that a run without new items may take, in seconds."""
FRAMES = 4
"""Frames of each tiny video."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__)
    parser.add_argument(
        "--list", type=Path, help="List of clips (default: VoxCeleb's, ../shared/vox/vox-metadata.csv)."
    )
    args = parser.parse_args(arguments)
    pin_to_one_core()
    params = load_params(Path("profiles/voxceleb.yaml"))
    path = args.list or shared_path("vox", "vox-metadata.csv")
    index_config = params.index.model_copy(update={"path": str(path)})
    params = params.model_copy(
        update={"index": index_config, "run": params.run.model_copy(update={"workers": 1})}
    )
    print("VoxCeleb's list through index, download and crop, with tiny local files as media; one core.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index_s = measure_seconds(lambda: build_index(params.index, folder / "index.parquet"))
        rows = read_rows(folder / "index.parquet", INDEX)
        local_rows = write_tiny_videos(rows, folder / "media")
        write_table(local_rows, INDEX, folder / "index.parquet")
        download_s, crop_s = run_stages(params, folder)
        bare_download_s, bare_crop_s = run_bare(params, local_rows, folder)
        again_s = index_s + sum(run_stages(params, folder))
    clips = len(rows)
    cost_ms = {
        "index": index_s / clips * 1000,
        "download": (download_s - bare_download_s) / clips * 1000,
        "crop": (crop_s - bare_crop_s) / clips * 1000,
    }
    videos = len({row["video_id"] for row in rows})
    print(f"index     {index_s:6.1f} s for {clips:,} clips of {videos:,} videos")
    print(
        f"download  {download_s:6.1f} s, of which copying, hashing and probing take {bare_download_s:.1f} s"
    )
    print(f"crop      {crop_s:6.1f} s, of which decoding, searching and writing take {bare_crop_s:.1f} s")
    print(f"again     {again_s:6.1f} s for all three without new items")
    for stage, milliseconds in cost_ms.items():
        print(f"{stage:9} {milliseconds:6.2f} ms of bookkeeping per clip (budget {BUDGET_MS})")
    print_summary(
        {f"budget_vs_{stage}": BUDGET_MS / value for stage, value in cost_ms.items()}
        | {"budget_vs_second_run": BUDGET_AGAIN_S / again_s}
    )


def measure_seconds(work: Callable[[], object]) -> float:
    """Measure the duration of a call, in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def write_tiny_videos(rows: list[Row], folder: Path) -> list[Row]:
    """Write a tiny video for each video of the index; return the rows, each clip being its whole video."""
    folder.mkdir()
    frames = [np.full((32, 32, 3), 100 + number, np.uint8) for number in range(FRAMES)]
    write_mp4(folder / "one.mp4", frames, Fraction(25))
    content = (folder / "one.mp4").read_bytes()
    for name in {row["video_id"] for row in rows}:
        (folder / f"{name}.mp4").write_bytes(content)
    whole = {"start_s": 0.0, "end_s": None}
    return [row | whole | {"url": (folder / f"{row['video_id']}.mp4").as_posix()} for row in rows]


def run_stages(params: Params, folder: Path) -> tuple[float, float]:
    """Run download and crop, and return the duration of each in seconds."""
    index, downloads = folder / "index.parquet", folder / "download.parquet"
    map_shards = make_pool_mapper(params.run)
    download_s = measure_seconds(
        lambda: download_videos(
            params.download, params.run, index, folder / "videos", downloads, map_shards, ignore_progress
        )
    )
    outs = (folder / "crops", folder / "crops.parquet")
    crop_s = measure_seconds(
        lambda: crop_videos(params.crop, params.run, index, downloads, *outs, map_shards, ignore_progress)
    )
    return download_s, crop_s


def run_bare(params: Params, rows: list[Row], folder: Path) -> tuple[float, float]:
    """Do the work in a plain loop, without tables and processes; return the two durations in seconds."""
    urls = sorted({row["url"] for row in rows})
    clips: dict[str, list[ClipTarget]] = {url: [] for url in urls}
    for row in rows:
        clips[row["url"]].append(ClipTarget(row["clip_id"], 0.0, None, None, None))

    def download_all() -> None:
        for url in urls:
            (folder / "copy.mp4").write_bytes(Path(url).read_bytes())
            file_sha256(folder / "copy.mp4")
            probe(folder / "copy.mp4")

    def crop_all() -> None:
        for url in urls:
            crop_video(Path(url), clips[url], params.crop, folder)

    return measure_seconds(download_all), measure_seconds(crop_all)


if __name__ == "__main__":
    main()
