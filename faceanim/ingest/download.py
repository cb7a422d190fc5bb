"""Stage 2: fetch every video of the index once and record the outcome of each clip in download.parquet.

Permanent failures are recorded and not retried until `forget_failures` removes their records.
"""

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from faceanim.config import DownloadConfig, RunConfig
from faceanim.errors import FaceanimError, TemporaryError
from faceanim.incremental import prune
from faceanim.ingest.credentials import COOKIES_VARIABLE, check_prerequisites
from faceanim.ingest.fetch import PARTIAL_FOLDER, fetch_video, record_crash
from faceanim.ingest.network import check_network
from faceanim.ingest.rate_limit import MAX_BACKOFF_S, RateLimiter
from faceanim.ingest.records import VideoRecord, list_videos, read_fragment
from faceanim.progress import ProgressCallback
from faceanim.schemas import DOWNLOAD, INDEX, Status
from faceanim.tables import Row, read_rows, write_table
from faceanim.workers import MapShards, ShardJob, chunk

log = logging.getLogger(__name__)


class Partition(NamedTuple):
    """Partition of the videos that one of several machines fetches.

    Attributes:
        number: number of this machine, from 1.
        total: number of machines.
    """

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> "Partition":
        """Parse a string such as `2/4`.

        Raises:
            FaceanimError: the string does not have this form.
        """
        number, slash, total = text.partition("/")
        if not (slash and number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total)):
            raise FaceanimError(f"--part must have the form 2/4, not {text!r}")
        return cls(int(number), int(total))

    def contains(self, video_id: str) -> bool:
        """Check whether a video belongs to this machine, independently of the other videos."""
        digest = hashlib.sha256(video_id.encode()).hexdigest()
        return int(digest, 16) % self.total == self.number - 1


WHOLE_PARTITION = Partition(1, 1)


def limit_workers(run: RunConfig, config: DownloadConfig) -> RunConfig:
    """Limit the workers to `max_concurrent`, and extend the timeout by the longest waits of a video."""
    waits_s = (config.retries + 1) * 1.5 * config.sleep_s + config.retries * MAX_BACKOFF_S
    return run.model_copy(
        update={
            "workers": min(run.workers, config.max_concurrent),
            "item_timeout_s": run.item_timeout_s + round(waits_s),
        }
    )


def download_videos(
    config: DownloadConfig,
    run: RunConfig,
    index: Path,
    videos: Path,
    out: Path,
    map_shards: MapShards,
    on_progress: ProgressCallback,
    part: Partition = WHOLE_PARTITION,
) -> dict[str, Any]:
    """Fetch new and changed videos, remove those no longer in the index, and write download.parquet.

    Args:
        config: formats, retries and rate limits.
        run: how the work is distributed.
        index: index.parquet.
        videos: folder of the videos, `<video_id>.<ext>`, each with a fragment `<video_id>.parquet`.
        out: download.parquet.
        map_shards: runs the shards.
        on_progress: called with the number of videos done and in total.
        part: partition to fetch and to write rows for; videos of other partitions are not removed.

    Returns:
        Numbers of `videos` by outcome, of transient failures by reason (`passing`), of `clips` and of
        `clips_ok`, those whose video is on disk; `bytes` and `seconds` of the videos.

    Raises:
        FaceanimError: a prerequisite of the addresses is missing, or the disk is full.
        TemporaryError: no server can be reached, so nothing is tried; or the site refuses further requests,
            and the table is written nevertheless.
    """
    rows = [row for row in read_rows(index, INDEX) if part.contains(row["video_id"])]
    listed = list_videos(rows, config.max_height)
    check_prerequisites(video.url for video in listed)
    videos.mkdir(parents=True, exist_ok=True)
    records = {video.video_id: read_fragment(video, videos) or video for video in listed}
    stale = [record for record in records.values() if record.is_pending]
    check_network(record.url for record in stale if not record.is_local)
    _report_progress(records, on_progress)
    for fetched in _fetch_stale(stale, config, run, videos, part, map_shards):
        records |= {record.video_id: record for record in fetched}
        _report_progress(records, on_progress)
    _remove_leftovers(videos, list(records.values()), part)
    table = [_make_row(row, records, videos) for row in sorted(rows, key=lambda row: str(row["clip_id"]))]
    write_table(table, DOWNLOAD, out)
    _check_complete(list(records.values()))
    return _count_outcomes(list(records.values()), table)


def _report_progress(records: Mapping[str, VideoRecord], on_progress: ProgressCallback) -> None:
    done = [record for record in records.values() if not record.is_pending]
    failed = sum(not record.is_ok for record in done)
    on_progress(len(done), len(records), f"{failed} failed" if failed else "")


def _fetch_stale(
    stale: Sequence[VideoRecord],
    config: DownloadConfig,
    run: RunConfig,
    videos: Path,
    part: Partition,
    map_shards: MapShards,
) -> Iterator[list[VideoRecord]]:
    """Fetch videos and yield their records in batches; a pending one may be yielded again later."""
    state = videos / f".state-{part.number}-of-{part.total}"
    with RateLimiter(state, config.max_concurrent, config.sleep_s).open() as limiter:
        fetch = partial(fetch_video, config=config, videos=videos, limiter=limiter)
        job = ShardJob("download", fetch, partial(record_crash, videos=videos))
        yield from _fetch_with_cooldowns(
            lambda batch: map_shards(job, chunk(batch, run.shard_size)), stale, config, limiter
        )


def _fetch_with_cooldowns(
    map_videos: Callable[[Sequence[VideoRecord]], Iterable[list[VideoRecord]]],
    stale: Sequence[VideoRecord],
    config: DownloadConfig,
    limiter: RateLimiter,
) -> Iterator[list[VideoRecord]]:
    """Yield the records of videos, with a cooldown of all workers after each bot check or rate limit.

    A refusal ends the batch. After the cooldown, a single video is tried first. If it is refused again after
    `config.max_cooldowns` consecutive cooldowns, the remaining videos are not tried.
    """
    pending, cooldowns = list(stale), 0
    while pending:
        batch = pending[:1] if cooldowns else pending
        pending = pending[len(batch) :]
        for records in map_videos(batch):
            yield records
            pending += [record for record in records if record.is_pending]
        cooldown_s = limiter.end_cooldown()
        if cooldown_s is None:
            cooldowns = 0
            continue
        if cooldowns == config.max_cooldowns:
            return
        cooldowns += 1
        log.warning(
            "download: the site refuses further requests; pausing for %.0f s before one video is tried again "
            "(cooldown %d of %d)",
            cooldown_s, cooldowns, config.max_cooldowns,
        )  # fmt: skip
        time.sleep(cooldown_s)


def _remove_leftovers(videos: Path, records: Sequence[VideoRecord], part: Partition) -> None:
    """Remove everything but videos, fragments, and partial files that the next run can resume."""
    resumable = tuple(
        f"{record.partial_name}." for record in records if record.is_transient and not record.is_local
    )
    folder = videos / PARTIAL_FOLDER
    if folder.is_dir():
        for path in folder.iterdir():
            if part.contains(path.name.partition(".")[0]) and not path.name.startswith(resumable):
                path.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    if part == WHOLE_PARTITION:
        files = {record.path for record in records if record.path is not None}
        prune(videos, files | {record.fragment(videos).name for record in records} | {PARTIAL_FOLDER})


def _make_row(clip: Row, records: Mapping[str, VideoRecord], videos: Path) -> Row:
    record = records[clip["video_id"]]
    path = None if record.path is None else (videos / record.path).as_posix()
    return record.to_row() | {"clip_id": clip["clip_id"], "path": path}


def _check_complete(records: Sequence[VideoRecord]) -> None:
    """Raise `TemporaryError` if the site stopped the run before all videos were tried."""
    pending = sum(record.is_pending for record in records)
    if pending:
        raise TemporaryError(
            "download: the site refuses further requests (bot check or rate limit): "
            f"{sum(record.is_ok for record in records)} of {len(records)} videos are downloaded, {pending} "
            "remain, nothing is lost; wait a few hours and resume with `dvc repro`; cookies of an account "
            f"may help ({COOKIES_VARIABLE}, see docs/voxceleb.md)"
        )


def _count_outcomes(records: Sequence[VideoRecord], table: Sequence[Row]) -> dict[str, Any]:
    """Count videos by outcome and clips by whether their video is on disk, and total bytes and seconds."""
    by_outcome = Counter(str(record.status if record.is_ok else record.reason) for record in records)
    transient = Counter(str(record.reason) for record in records if record.is_transient)
    return {
        "videos": dict(sorted(by_outcome.items())),
        "passing": dict(sorted(transient.items())),
        "clips_ok": sum(row["status"] == Status.OK for row in table),
        "clips": len(table),
        "bytes": sum(record.bytes or 0 for record in records),
        "seconds": round(sum(record.seconds or 0.0 for record in records), 3),
    }
