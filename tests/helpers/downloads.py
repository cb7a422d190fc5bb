"""Code shared by the tests of the stage `download`."""

from pathlib import Path

from faceanim.config import DownloadConfig
from faceanim.ingest.download import WHOLE_PARTITION, download_videos
from faceanim.schemas import DOWNLOAD, INDEX
from faceanim.tables import read_rows, write_table
from tests.helpers.videos import RUN, ignore, inline

CONFIG = DownloadConfig(
    max_height=720,
    max_concurrent=2,
    sleep_s=0.0,
    retries=0,
    backoff_s=0.1,
    stall_s=1.0,
    cooldown_s=0.1,
    max_cooldowns=1,
)


def changed(**values):
    """Return `CONFIG` with other values."""
    return CONFIG.model_copy(update=values)


def run(config=CONFIG, index="index.parquet", folder="data", map_shards=inline, part=WHOLE_PARTITION):
    """Download the videos of an index to `<folder>/videos`; return the metrics and the outcomes by clip."""
    videos, out = Path(folder) / "videos", Path(folder) / "out.parquet"
    metrics = download_videos(config, RUN, Path(index), videos, out, map_shards, ignore, part)
    return metrics, table(folder)


def table(folder="data"):
    """Read the outcomes of a run, by clip."""
    return {row["clip_id"]: row for row in read_rows(Path(folder) / "out.parquet", DOWNLOAD)}


def reasons(rows):
    """Return the reason of each clip's outcome."""
    return {clip: row["reason"] for clip, row in rows.items()}


def index_addresses(clips=1, **urls):
    """Write an index of videos by name; further clips of a video are called `<name>1`, `<name>2` etc."""
    rows = [
        {
            "clip_id": f"{name}{number or ''}",
            "person_id": "p",
            "video_id": name,
            "url": url,
            "start_s": 0.0,
            "split": "train",
        }
        for name, url in urls.items()
        for number in range(clips)
    ]
    write_table(rows, INDEX, Path("index.parquet"))
