"""Spreading work over many items: shards, in processes of their own, so that one bad file ends nothing.

A step that goes over many videos takes *how to map* as an argument (`MapShards`). `process_map` is the
library's own; `flows.prefect_runs` has one that makes a Prefect task of each shard.
"""

import multiprocessing
import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pebble import ProcessExpired, ProcessPool

from faceanim.config import RunConfig
from faceanim.errors import FaceanimError
from faceanim.progress import ProgressCallback
from faceanim.schemas import Reason

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ShardJob(Generic[Item, Result]):
    """What is done to each item of a shard. Both functions must be picklable.

    Attributes:
        name: what to call it on a screen.
        process: does the work on one item, or returns at once where it is done: a shard that failed, or whose
            machine went away, is run again as a whole.
        on_failure: the result for an item whose worker crashed, hung or asked for too much memory.
    """

    name: str
    process: Callable[[Item], Result]
    on_failure: Callable[[Item, Reason], Result]


class MapShards(Protocol):
    """Does the work on each shard and yields the results in the order of the shards."""

    def __call__(
        self, work: ShardJob[Item, Result], shards: Sequence[Sequence[Item]]
    ) -> Iterator[list[Result]]:
        """Yield one list of results a shard."""


def chunk(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Cut items into runs of `size`, the last one shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def make_pool_mapper(run: RunConfig) -> MapShards:
    """The library's own `MapShards`: up to `run.workers` child processes at a time on this machine."""

    def map_shards(work: ShardJob[Item, Result], shards: Sequence[Sequence[Item]]) -> Iterator[list[Result]]:
        with ShardPool(run) as pool:
            scheduled = [pool.schedule(work, shard) for shard in shards]
            for results in scheduled:
                yield results()

    return map_shards


class ShardPool:
    """Child processes, `run.workers` of them, that do the work on shards; one that dies or hangs is replaced.

    One pool serves many shards: starting a process costs about as much as cropping a clip. Leaving the block
    by an exception stops them. Threads may share it.
    """

    def __init__(self, run: RunConfig) -> None:
        self._timeout_s = run.item_timeout_s
        # Not fork: the parent may hold threads (Prefect, OpenMP) whose locks a fork would copy in any state.
        context = multiprocessing.get_context("spawn")
        limits = {"initializer": _init_worker, "initargs": [run.worker_memory_mb]}
        self._pool = ProcessPool(max_workers=run.workers, context=context, **limits)

    def __enter__(self) -> "ShardPool":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._pool.close()
        else:
            self._pool.stop()
        self._pool.join()

    def schedule(self, work: ShardJob[Item, Result], shard: Sequence[Item]) -> Callable[[], list[Result]]:
        """Queue a shard; what is returned waits for its results.

        That raises what `work.process` raised, a defect or a broken set-up (a full disk), and then nothing of
        the shard goes on. A crash of the interpreter, a time-out or an exhausted memory is the item's own
        fault, and becomes `work.on_failure(item, reason)`; a crash when it has come twice.
        """
        futures = [self._submit(work, item) for item in shard]

        def results() -> list[Result]:
            try:
                return [self._result(work, item, future) for item, future in zip(shard, futures, strict=True)]
            except BaseException:
                for future in futures:
                    future.cancel()
                raise

        return results

    def _submit(self, work: ShardJob[Item, Result], item: Item) -> Any:
        return self._pool.schedule(_process_item, args=(work.process, item), timeout=self._timeout_s)

    def _result(self, work: ShardJob[Item, Result], item: Item, future: Any) -> Result:
        try:
            return _item_result(work, item, future)
        except ProcessExpired:
            pass  # perhaps by the system, which was short of memory: what is the item's own will come again
        try:
            return _item_result(work, item, self._submit(work, item))
        except ProcessExpired:
            return work.on_failure(item, Reason.CRASHED)


def run_shard(
    run: RunConfig, work: ShardJob[Item, Result], shard: Sequence[Item], folder: Path
) -> list[Result]:
    """Do the work on a shard in a child of this process, itself a worker on some machine of a cluster.

    Args:
        run: the limits of the child.
        work: what to do.
        shard: with what.
        folder: the project's, where relative paths begin.

    Raises:
        FaceanimError: this machine does not have the folder.
    """
    if not folder.is_dir():
        raise FaceanimError(
            f"{socket.gethostname()} has no folder {folder}: the machines of a cluster share it"
        )
    # Dask starts its workers as daemons, which may have no children lest these outlive them; ours do not.
    multiprocessing.current_process().daemon = False
    with chdir(folder), ShardPool(run.model_copy(update={"workers": 1})) as pool:
        return pool.schedule(work, shard)()


def _init_worker(memory_mb: int) -> None:
    """Limit a worker's memory, and let it die with its parent: an orphan would write into the next run."""
    limit = memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _process_item(do: Callable[[Item], Result], item: Item) -> Result:
    """Do the work on an item; OpenCV has an error of its own for an exhausted memory."""
    import cv2

    try:
        return do(item)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(str(error)) from None
        raise


def _item_result(work: ShardJob[Item, Result], item: Item, future: Any) -> Result:
    try:
        result: Result = future.result()
    except TimeoutError:
        return work.on_failure(item, Reason.TIMED_OUT)
    except MemoryError:
        return work.on_failure(item, Reason.OUT_OF_MEMORY)
    return result


StageResult = TypeVar("StageResult")
StageWork = Callable[[MapShards, ProgressCallback], StageResult]
"""A stage's work, given how to map its shards and whom to tell how far it has come."""
