"""How the steps that go over many clips are mapped: by the library alone, or as a Prefect flow run."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from faceanim.config import RunConfig
from faceanim.shards import Item, MapShards, Result, Work, process_map, run_shard

Outcome = TypeVar("Outcome")


def drive(name: str, run: RunConfig, step: Callable[[MapShards], Outcome]) -> Outcome:
    """Run a step with the right way to map its shards.

    With PREFECT_API_URL in the environment the step is a flow run of that name with a task per shard.
    Without it Prefect is not even imported: it would start a server of its own, which takes seconds and
    loses records.
    """
    if not os.environ.get("PREFECT_API_URL"):
        return step(process_map(run))
    return drive_with_prefect(name, run, step)


def drive_with_prefect(name: str, run: RunConfig, step: Callable[[MapShards], Outcome]) -> Outcome:
    """Run a step as a Prefect flow run with a task per shard, `run.workers` at a time."""
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE
    from prefect.task_runners import ThreadPoolTaskRunner

    # Each shard works in a child process of its own (`run_shard`), so threads are enough to wait for them.
    shard_task = task(run_shard, name=f"{name}-shard", cache_policy=NO_CACHE)

    def map_shards(work: Work[Item, Result], shards: Sequence[Sequence[Item]]) -> Iterator[list[Result]]:
        futures = [
            shard_task.with_options(task_run_name=f"{name} shard {number} of {len(shards)}").submit(
                run, work, shard
            )
            for number, shard in enumerate(shards, start=1)
        ]
        for future in futures:
            yield future.result()

    @flow(name=name, task_runner=ThreadPoolTaskRunner(max_workers=run.workers), persist_result=False)
    def stage() -> Outcome:
        return step(map_shards)

    return stage()
