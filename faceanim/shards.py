"""Spreading work over many items: shards, in processes of their own, so that one bad file ends nothing.

A step that goes over many videos takes *how to map* as an argument (`MapShards`). `process_map` is the
library's own; `flows.shards` gives one that makes a Prefect task of each shard, which calls `run_shard`.
"""

import multiprocessing
import os
import resource
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, Generic, Protocol, TypeVar

from pebble import ProcessExpired, ProcessPool

from faceanim.config import RunConfig
from faceanim.schemas import Reason

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Work(Generic[Item, Result]):
    """What is done to each item of a shard. Both functions must be picklable.

    Attributes:
        name: what to call it on a screen.
        run: does the work on one item.
        give_up: the result for an item whose worker crashed, hung or asked for too much memory.
    """

    name: str
    run: Callable[[Item], Result]
    give_up: Callable[[Item, Reason], Result]


class MapShards(Protocol):
    """Does the work on each shard and yields the results in the order of the shards."""

    def __call__(self, work: Work[Item, Result], shards: Sequence[Sequence[Item]]) -> Iterator[list[Result]]:
        """Yield one list of results a shard."""


def cut(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Cut items into runs of `size`, the last one shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def run_shard(run: RunConfig, work: Work[Item, Result], shard: Sequence[Item]) -> list[Result]:
    """Do the work on each item of a shard in a child process, replaced when it dies or hangs.

    An exception of `work.run` is a defect or a broken set-up (a full disk), and is raised; a crash of the
    interpreter, a time-out or an exhausted memory is the item's own fault, and becomes
    `work.give_up(item, reason)`.
    """
    with _pool(1, run) as pool:
        return _results(work, shard, _schedule(pool, run, work, shard))


def process_map(run: RunConfig) -> MapShards:
    """The library's own `MapShards`: up to `run.workers` child processes at a time on this machine."""

    def map_shards(work: Work[Item, Result], shards: Sequence[Sequence[Item]]) -> Iterator[list[Result]]:
        with _pool(run.workers, run) as pool:
            # One pool for all shards: starting a process costs about as much as cropping a clip.
            scheduled = [_schedule(pool, run, work, shard) for shard in shards]
            for shard, futures in zip(shards, scheduled, strict=True):
                yield _results(work, shard, futures)

    return map_shards


@contextmanager
def _pool(workers: int, run: RunConfig) -> Iterator[ProcessPool]:
    # Not fork: the parent may hold threads (Prefect, OpenMP) whose locks a fork would copy in any state.
    context = multiprocessing.get_context("spawn")
    limits = {"initializer": _begin, "initargs": [run.worker_memory_mb]}
    with ProcessPool(max_workers=workers, context=context, **limits) as pool:
        try:
            yield pool
        except BaseException:
            pool.stop()
            raise


def _begin(memory_mb: int) -> None:
    """Limit a worker's memory, and let it die with its parent: an orphan would write into the next run."""
    limit = memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _schedule(pool: ProcessPool, run: RunConfig, work: Work[Item, Any], shard: Sequence[Item]) -> list[Any]:
    return [pool.schedule(_attempt, args=(work.run, item), timeout=run.item_timeout_s) for item in shard]


def _attempt(do: Callable[[Item], Result], item: Item) -> Result:
    """Do the work on an item; OpenCV has an error of its own for an exhausted memory."""
    import cv2

    try:
        return do(item)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(str(error)) from None
        raise


def _results(work: Work[Item, Result], shard: Sequence[Item], futures: Sequence[Any]) -> list[Result]:
    return [_result(work, item, future) for item, future in zip(shard, futures, strict=True)]


def _result(work: Work[Item, Result], item: Item, future: Any) -> Result:
    try:
        result: Result = future.result()
    except TimeoutError:
        return work.give_up(item, Reason.TIMED_OUT)
    except ProcessExpired:
        return work.give_up(item, Reason.CRASHED)
    except MemoryError:
        return work.give_up(item, Reason.OUT_OF_MEMORY)
    return result
