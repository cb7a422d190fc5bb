"""Parallel work on many items: shards in child processes, so that a bad file costs only its own item.

A step that processes many videos takes a mapper of its shards as an argument (`MapShards`). The library's own
is that of `make_pool_mapper`; `flows.prefect_runs` has one that makes each shard a Prefect task.
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
StageResult = TypeVar("StageResult")


@dataclass(frozen=True)
class ShardJob(Generic[Item, Result]):
    """Work on each item of a shard. Both functions must be picklable.

    Attributes:
        name: label of the work in progress displays.
        process: processes one item. It must return at once if the item is done, because a shard that failed
            or whose machine was lost is run again as a whole.
        on_failure: returns the result of an item whose worker crashed, timed out or ran out of memory.
    """

    name: str
    process: Callable[[Item], Result]
    on_failure: Callable[[Item, Reason], Result]


class MapShards(Protocol):
    """Callable that processes shards and yields their results in the order of the shards."""

    def __call__(
        self, job: ShardJob[Item, Result], shards: Sequence[Sequence[Item]]
    ) -> Iterator[list[Result]]:
        """Yield a list of results per shard."""


StageWork = Callable[[MapShards, ProgressCallback], StageResult]
"""Callable that does the work of a stage, given a mapper of its shards and a callback for its progress."""


def chunk(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Split items into consecutive chunks of `size`; the last one may be shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def make_pool_mapper(run: RunConfig) -> MapShards:
    """Return a mapper that uses up to `run.workers` child processes on this machine."""

    def map_shards(job: ShardJob[Item, Result], shards: Sequence[Sequence[Item]]) -> Iterator[list[Result]]:
        with ShardPool(run) as pool:
            scheduled = [pool.schedule(job, shard) for shard in shards]
            for results in scheduled:
                yield results()

    return map_shards


def run_shard(
    run: RunConfig, job: ShardJob[Item, Result], shard: Sequence[Item], folder: Path
) -> list[Result]:
    """Process a shard in a child process of this worker of a cluster.

    Args:
        run: limits of the child process.
        job: function of each item.
        shard: the items.
        folder: folder of the project, to which paths are relative.

    Raises:
        FaceanimError: the folder does not exist on this machine.
    """
    if not folder.is_dir():
        raise FaceanimError(
            f"cannot run on {socket.gethostname()}: it has no folder {folder};"
            " all machines of a cluster must share it"
        )
    # Dask workers are daemons, which may not have children that could outlive them; the pool's cannot.
    multiprocessing.current_process().daemon = False
    with chdir(folder), ShardPool(run.model_copy(update={"workers": 1})) as pool:
        return pool.schedule(job, shard)()


class ShardPool:
    """A pool of `run.workers` child processes for shards; one that dies or hangs is replaced.

    One pool serves many shards, because starting a process takes about as long as cropping a clip. Leaving
    the context by an exception stops the processes. The pool may be shared by threads.
    """

    def __init__(self, run: RunConfig) -> None:
        self._timeout_s = run.item_timeout_s
        # Not fork, which would copy locks of the parent's threads (Prefect, OpenMP) in an arbitrary state.
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

    def schedule(self, job: ShardJob[Item, Result], shard: Sequence[Item]) -> Callable[[], list[Result]]:
        """Queue a shard and return a callable that waits for its results.

        The callable raises what `job.process` raised, which is a bug or a broken setup (such as a full
        disk), and cancels the rest of the shard. A crash of the interpreter, a timeout or exhausted memory is
        attributed to the item and becomes `job.on_failure(item, reason)`; a crash only if it recurs.
        """
        futures = [self._submit(job, item) for item in shard]

        def results() -> list[Result]:
            try:
                return [self._result(job, item, future) for item, future in zip(shard, futures, strict=True)]
            except BaseException:
                for future in futures:
                    future.cancel()
                raise

        return results

    def _submit(self, job: ShardJob[Item, Result], item: Item) -> Any:
        return self._pool.schedule(_process_item, args=(job.process, item), timeout=self._timeout_s)

    def _result(self, job: ShardJob[Item, Result], item: Item, future: Any) -> Result:
        try:
            return _item_result(job, item, future)
        except ProcessExpired:
            pass  # possibly killed by a system short of memory; a crash that the item causes will recur
        try:
            return _item_result(job, item, self._submit(job, item))
        except ProcessExpired:
            return job.on_failure(item, Reason.CRASHED)


def _init_worker(memory_mb: int) -> None:
    """Limit a worker's memory and end it with its parent, as an orphan would write into the next run."""
    limit = memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _process_item(process: Callable[[Item], Result], item: Item) -> Result:
    """Process an item, and convert OpenCV's own error for exhausted memory to `MemoryError`."""
    import cv2

    try:
        return process(item)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(str(error)) from None
        raise


def _item_result(job: ShardJob[Item, Result], item: Item, future: Any) -> Result:
    try:
        result: Result = future.result()
    except TimeoutError:
        return job.on_failure(item, Reason.TIMED_OUT)
    except MemoryError:
        return job.on_failure(item, Reason.OUT_OF_MEMORY)
    return result
