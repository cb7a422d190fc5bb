"""Cost of Prefect: 20,000 tiny items in shards, by the process pool alone and as a flow run with a server.

Each run is a separate process, as a stage is, measured from its start to its exit. The server must have a
record of every task run.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

import httpx

from benchmarks.common import print_summary
from faceanim.config import RunConfig
from faceanim.progress import ProgressCallback
from faceanim.schemas import Reason
from faceanim.workers import MapShards, ShardJob, chunk
from flows.stage_runs import run_sharded_stage
from flows.ui import prefect_server

ITEMS = 20_000
RUNS = 3
BUDGET_MS = 1.0
"""Additional time that an item may take with Prefect, in milliseconds."""
PORT = 4299
RUN = RunConfig(
    workers=2,
    shard_size=64,
    item_timeout_s=600,
    worker_memory_mb=2048,
    task_runner="processes",
    cluster="",
    tracking_uri="",
)


def main() -> None:
    """Run the benchmark and print its results."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["PREFECT_HOME"] = name
        with prefect_server(PORT) as page:
            api = f"{page}/api"
            time_process(api, name)  # not counted: the server compiles its queries on the first requests
            bare, served = [], []
            for _ in range(RUNS):
                bare.append(time_process("", name))
                served.append(time_process(api, name))
            shards = len(chunk(range(ITEMS), RUN.shard_size))
            expected = shards * (RUNS + 1)
            recorded = wait_for_records(api, expected)
    extra_ms = (statistics.median(served) - statistics.median(bare)) / ITEMS * 1000
    for label, seconds in (("process pool", bare), ("Prefect", served)):
        median, spread = statistics.median(seconds), ", ".join(f"{value:.1f}" for value in seconds)
        print(f"{label:13} {median:6.1f} s for {ITEMS:,} items in {shards} tasks ({spread})")
    print(f"Prefect costs {extra_ms:.3f} ms per item (budget {BUDGET_MS})")
    print(f"{recorded} of {expected} tasks recorded")
    print_summary({"budget_over_cost": BUDGET_MS / extra_ms, "recorded": recorded / expected})


def time_process(api: str, home: str) -> float:
    """Run the step in a separate process and return its duration, in seconds."""
    variables = os.environ | {
        "PREFECT_API_URL": api,
        "PREFECT_HOME": home,
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "benchmarks.orchestration", "step"], check=True, env=variables)
    return time.perf_counter() - start


def step(map_shards: MapShards, on_progress: ProgressCallback) -> int:
    """Process all items and return their number."""
    done = 0
    for results in map_shards(ShardJob("tiny", square, fail), chunk(range(ITEMS), RUN.shard_size)):
        done += len(results)
        on_progress(done, ITEMS)
    return done


def square(item: int) -> int:
    """Do hardly any work."""
    return item * item


def fail(item: int, reason: Reason) -> int:
    """Raise an error, because no item may fail."""
    raise RuntimeError(f"item {item}: {reason}")


def wait_for_records(api: str, expected: int) -> int:
    """Wait up to a minute until the server has recorded all task runs; return the number recorded."""
    for _ in range(60):
        if count_records(api, "tiny shard") >= expected:
            break
        time.sleep(1)
    return count_records(api, "tiny shard")


def count_records(api: str, task: str) -> int:
    """Count the completed task runs of a name that the server has recorded, possibly with a delay."""
    query = {"task_runs": {"name": {"like_": task}, "state": {"type": {"any_": ["COMPLETED"]}}}}
    response = httpx.post(f"{api}/task_runs/count", json=query, timeout=60)
    return int(response.raise_for_status().text)


if __name__ == "__main__":
    if sys.argv[1:] == ["step"]:
        assert run_sharded_stage("tiny", RUN, step) == ITEMS
    else:
        main()
