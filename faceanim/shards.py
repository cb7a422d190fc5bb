"""Spreading work over many clips: shards, each in a process of its own, so that one bad file ends nothing.

A step that goes over many clips takes *how to map* as an argument (`MapShards`). `process_map` is the
library's own; `flows.shards` gives one that makes a Prefect task of each shard. Both run `run_shard`.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

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
        give_up: the result for an item whose worker crashed or hung.
        timeout_s: seconds an item may take.
    """

    name: str
    run: Callable[[Item], Result]
    give_up: Callable[[Item, Reason], Result]
    timeout_s: int


class MapShards(Protocol):
    """Runs `run_shard` on each shard and yields the results in the order of the shards."""

    def __call__(self, work: Work[Item, Result], shards: Sequence[Sequence[Item]]) -> Iterator[list[Result]]:
        """Yield one list of results a shard."""


def cut(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Cut items into runs of `size`, the last one shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def run_shard(work: Work[Item, Result], shard: Sequence[Item]) -> list[Result]:
    """Do the work on each item of a shard in a child process, replaced when it dies or hangs.

    An exception of `work.run` is a defect or a broken set-up (a full disk), and is raised; a crash of the
    interpreter or a time-out is the item's own fault, and becomes `work.give_up(item, reason)`.
    """
    results: list[Result] = []
    # Not fork: the parent may hold threads (Prefect, OpenMP) whose locks a fork would copy in any state.
    with ProcessPool(max_workers=1, context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.schedule(work.run, args=(item,), timeout=work.timeout_s) for item in shard]
        try:
            for item, future in zip(shard, futures, strict=True):
                try:
                    results.append(future.result())
                except TimeoutError:
                    results.append(work.give_up(item, Reason.TIMED_OUT))
                except ProcessExpired:
                    results.append(work.give_up(item, Reason.CRASHED))
        except BaseException:
            pool.stop()
            raise
    return results


def process_map(run: RunConfig) -> MapShards:
    """The library's own `MapShards`: up to `run.workers` child processes at a time on this machine."""

    def map_shards(work: Work[Item, Result], shards: Sequence[Sequence[Item]]) -> Iterator[list[Result]]:
        with ThreadPoolExecutor(max_workers=run.workers) as threads:
            futures = [threads.submit(run_shard, work, shard) for shard in shards]
            try:
                for future in futures:
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()

    return map_shards
