"""Stage 2: one fetch a video, checked before it counts; every clip ends in download.parquet with a reason."""

import hashlib
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from faceanim.config import DownloadConfig, RunConfig
from faceanim.errors import FaceanimError, TemporaryError
from faceanim.incremental import RETRY_KEY, prune, read_metadata
from faceanim.ingest.credentials import COOKIES_VARIABLE, check_prerequisites
from faceanim.ingest.fetch import (
    FRAGMENT_SCHEMA,
    PARTIAL_FOLDER,
    Outcome,
    Video,
    cached_outcome,
    failed_outcome,
    fetch_video,
    pending_outcome,
    video_key,
)
from faceanim.ingest.rate_limit import MAX_BACKOFF_S, RateLimiter
from faceanim.progress import ProgressCallback
from faceanim.schemas import DOWNLOAD, INDEX, Reason, Status
from faceanim.tables import Row, read_rows, write_table
from faceanim.workers import MapShards, ShardJob, chunk


class Failures(NamedTuple):
    """The fragments of videos that failed for one reason, and whether the next run tries them by itself."""

    reason: str
    is_transient: bool
    fragments: list[Path]


def list_failures(videos: Path) -> list[Failures]:
    """The videos in a folder that could not be had, by reason.

    Raises:
        FaceanimError: there is no such folder, or its fragments are of another version.
    """
    if not videos.is_dir():
        raise FaceanimError(f"there is no folder {videos}; `dvc repro download` makes it")
    found: dict[tuple[str, bool], list[Path]] = defaultdict(list)
    for fragment in sorted(videos.glob("*.parquet")):
        (row,) = read_rows(fragment, FRAGMENT_SCHEMA)
        if row["status"] == Status.FAILED:
            passes = read_metadata(fragment).get("key") == RETRY_KEY
            found[row["reason"], passes].append(fragment)
    return [Failures(reason, passes, fragments) for (reason, passes), fragments in sorted(found.items())]


def forget_failures(videos: Path, reasons: Iterable[str]) -> int:
    """Forget the failures for these reasons, and say how many there were.

    Raises:
        FaceanimError: a reason that there is not, or what `failures` raises.
    """
    chosen = set(reasons)
    if unknown := sorted(chosen - {str(reason) for reason in Reason}):
        raise FaceanimError(f"no reason is called {unknown[0]!r}; `faceanim retry` lists those there are")
    gone = [path for found in list_failures(videos) if found.reason in chosen for path in found.fragments]
    for fragment in gone:
        fragment.unlink()
    return len(gone)


log = logging.getLogger(__name__)
_COOLDOWN_MESSAGE = (
    "download: the site asks us to stop; everything rests for %.0f s, then one video asks again "
    "(pause %d of %d)"
)


class Partition(NamedTuple):
    """One machine's share of the videos: part `number` (from 1) of `of`."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Partition":
        """Read a text such as `2/4`.

        Raises:
            FaceanimError: it is no such text.
        """
        number, slash, of = text.partition("/")
        if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise FaceanimError(f"--part wants a text such as 2/4, not {text!r}")
        return cls(int(number), int(of))

    def contains(self, video_id: str) -> bool:
        """Whether a video belongs to this part, whatever other videos there are."""
        digest = hashlib.sha256(video_id.encode()).hexdigest()
        return int(digest, 16) % self.of == self.number - 1


WHOLE_PARTITION = Partition(1, 1)


def limit_workers(run: RunConfig, config: DownloadConfig) -> RunConfig:
    """How downloads are spread: no more workers than may fetch at a time, each with time to be polite."""
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
    """Fetch the videos that changed, drop those that are gone, write download.parquet and return its counts.

    Args:
        config: formats, retries and manners.
        run: how the work is spread.
        index: index.parquet.
        videos: folder of the videos, `<video_id>.<ext>`, each with a fragment `<video_id>.parquet`.
        out: download.parquet.
        map_shards: runs the work.
        on_progress: told of the videos done, and of all.
        part: the share to fetch, and to write rows of; nothing of the others is dropped.

    Returns:
        `videos` by outcome; those `passing`, tried again by the next run; `clips`, `clips_ok`, ...

    Raises:
        FaceanimError: the addresses need what is not here, or the disk is full.
        TemporaryError: the site wants to be left alone; the table is written all the same.
    """
    rows = [row for row in read_rows(index, INDEX) if part.contains(row["video_id"])]
    wanted = _collect_videos(rows, config.max_height)
    check_prerequisites(video.url for video in wanted)
    videos.mkdir(parents=True, exist_ok=True)
    outcomes = {video.video_id: cached_outcome(video, videos) or pending_outcome(video) for video in wanted}
    stale = [video for video in wanted if outcomes[video.video_id].waits]
    _report_progress(outcomes, on_progress)
    for some in _fetch_stale(stale, config, run, videos, part, map_shards):
        outcomes |= {outcome.video_id: outcome for outcome in some}
        _report_progress(outcomes, on_progress)
    _remove_leftovers(videos, wanted, outcomes, part)
    table = [_table_row(row, outcomes, videos) for row in sorted(rows, key=lambda row: str(row["clip_id"]))]
    write_table(table, DOWNLOAD, out)
    _check_complete(list(outcomes.values()))
    return _count_outcomes(list(outcomes.values()), table)


def _report_progress(outcomes: Mapping[str, Outcome], on_progress: ProgressCallback) -> None:
    """How many videos are dealt with, and how many of these could not be had."""
    done = [outcome for outcome in outcomes.values() if not outcome.waits]
    failed = sum(outcome.row["status"] != Status.OK for outcome in done)
    on_progress(len(done), len(outcomes), f"{failed} failed" if failed else "")


def _collect_videos(rows: Sequence[Row], max_height: int) -> list[Video]:
    """The videos of these clips, each once, by their ids."""
    urls = {row["video_id"]: row["url"] for row in rows}
    return [Video(name, urls[name], video_key(urls[name], max_height)) for name in sorted(urls)]


def _fetch_stale(
    stale: Sequence[Video],
    config: DownloadConfig,
    run: RunConfig,
    videos: Path,
    part: Partition,
    map_shards: MapShards,
) -> Iterator[list[Outcome]]:
    """Get videos, and yield their outcomes some at a time; one that has to wait may come again."""
    state = videos / f".state-{part.number}-of-{part.of}"
    with RateLimiter(state, config.max_concurrent, config.sleep_s).open() as throttle:
        get = partial(fetch_video, config=config, videos=videos, throttle=throttle)
        work = ShardJob("download", get, partial(failed_outcome, videos=videos))
        yield from _fetch_with_cooldowns(
            lambda batch: map_shards(work, chunk(batch, run.shard_size)), stale, config, throttle
        )


def _fetch_with_cooldowns(
    map_videos: Callable[[Sequence[Video]], Iterable[list[Outcome]]],
    stale: Sequence[Video],
    config: DownloadConfig,
    throttle: RateLimiter,
) -> Iterator[list[Outcome]]:
    """Yield the outcomes of videos; a bot check or a rate limit ends a round, and everything rests.

    Then one video asks first; when it is told the same after `config.max_cooldowns` rests, the others stay
    untried.
    """
    waiting, pauses = list(stale), 0
    while waiting:
        batch = waiting[:1] if pauses else waiting
        by_id = {video.video_id: video for video in batch}
        waiting = waiting[len(batch) :]
        for outcomes in map_videos(batch):
            yield outcomes
            for outcome in outcomes:
                if outcome.waits:
                    waiting.append(replace(by_id[outcome.video_id], attempts=outcome.row["attempts"]))
        rest_s = throttle.end_cooldown()
        if rest_s is None:
            pauses = 0
            continue
        if pauses == config.max_cooldowns:
            return
        pauses += 1
        log.warning(_COOLDOWN_MESSAGE, rest_s, pauses, config.max_cooldowns)
        time.sleep(rest_s)


def _remove_leftovers(
    videos: Path, wanted: Sequence[Video], outcomes: Mapping[str, Outcome], part: Partition
) -> None:
    """Leave nothing but videos, fragments, and what the next run can continue."""
    unfinished = tuple(
        f"{video.partial_name}."
        for video in wanted
        if outcomes[video.video_id].is_transient and not video.is_local
    )
    folder = videos / PARTIAL_FOLDER
    if folder.is_dir():
        for path in folder.iterdir():
            if part.contains(path.name.partition(".")[0]) and not path.name.startswith(unfinished):
                path.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    if part == WHOLE_PARTITION:
        files = {outcome.row["path"] for outcome in outcomes.values() if outcome.row["path"] is not None}
        prune(videos, files | {video.fragment(videos).name for video in wanted} | {PARTIAL_FOLDER})


def _table_row(clip: Row, outcomes: Mapping[str, Outcome], videos: Path) -> Row:
    row = outcomes[clip["video_id"]].row
    path = None if row["path"] is None else (videos / row["path"]).as_posix()
    return row | {"clip_id": clip["clip_id"], "path": path}


def _check_complete(outcomes: Sequence[Outcome]) -> None:
    """Raise where the site stopped the run."""
    counts = Counter("waits" if outcome.waits else str(outcome.row["status"]) for outcome in outcomes)
    if counts["waits"]:
        raise TemporaryError(
            "download: the site wants to be left alone (a bot check or a rate limit). "
            f"{counts[Status.OK]} of {counts.total()} videos are there, {counts['waits']} remain; nothing is "
            "lost. Wait some hours, then `dvc repro` goes on from here; cookies of an account may help "
            f"({COOKIES_VARIABLE}, see the README)"
        )


def _count_outcomes(outcomes: Sequence[Outcome], table: Sequence[Row]) -> dict[str, Any]:
    """Counts of videos by outcome, and of the clips whose video is there."""
    rows = [outcome.row for outcome in outcomes]
    by_outcome = Counter(str(row["status"] if row["status"] == Status.OK else row["reason"]) for row in rows)
    passing = Counter(str(outcome.row["reason"]) for outcome in outcomes if outcome.is_transient)
    return {
        "videos": dict(sorted(by_outcome.items())),
        "passing": dict(sorted(passing.items())),
        "clips_ok": sum(row["status"] == Status.OK for row in table),
        "clips": len(table),
        "bytes": sum(row["bytes"] or 0 for row in rows),
        "seconds": round(sum(row["seconds"] or 0.0 for row in rows), 3),
    }
