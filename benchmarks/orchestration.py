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
from collections.abc import Sequence
from pathlib import Path

import httpx

from benchmarks.common import create_parser, print_summary
from faceanim.config import RunConfig
from faceanim.progress import ProgressCallback
from faceanim.schemas import Reason
from faceanim.workers import MapShards, ShardJob, chunk
from flows.stage_runs import run_sharded_stage
from flows.ui import prefect_server

BUDGET_MS = 1.0
"""Additional time that an item may take with Prefect, in milliseconds."""
RUN = RunConfig(
    workers=2,
    shard_size=64,
    item_timeout_s=600,
    worker_memory_mb=2048,
    task_runner="processes",
    cluster="",
    tracking_uri="",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its results."""
    parser = create_parser(__doc__, runs=3)
    parser.add_argument("--items", type=int, default=20_000, help="Items of a run (default: 20,000).")
    parser.add_argument("--port", type=int, default=4299, help="Port of the server (default: 4299).")
    parser.add_argument("--home", type=Path, help="Folder of the server's database (default: a new one).")
    parser.add_argument("--step", action="store_true", help="Only process the items, in this process.")
    args = parser.parse_args(arguments)
    if args.step:
        run_step(args.items)
        return
    with tempfile.TemporaryDirectory() as name:
        home = str(args.home or name)
        os.environ["PREFECT_HOME"] = home
        with prefect_server(args.port) as page:
            api = f"{page}/api"
            time_process(
                api, home, args.items
            )  # not counted: the server compiles its queries on the first requests
            bare, served = [], []
            for _ in range(args.runs):
                bare.append(time_process("", home, args.items))
                served.append(time_process(api, home, args.items))
            shards = len(chunk(range(args.items), RUN.shard_size))
            expected = shards * (args.runs + 1)
            recorded = wait_for_records(api, expected)
    extra_ms = (statistics.median(served) - statistics.median(bare)) / args.items * 1000
    for label, seconds in (("process pool", bare), ("Prefect", served)):
        median, spread = statistics.median(seconds), ", ".join(f"{value:.1f}" for value in seconds)
        print(f"{label:13} {median:6.1f} s for {args.items:,} items in {shards} tasks ({spread})")
    print(f"Prefect costs {extra_ms:.3f} ms per item (budget {BUDGET_MS})")
    print(f"{recorded} of {expected} tasks recorded")
    print_summary({"budget_over_cost": BUDGET_MS / extra_ms, "recorded": recorded / expected})


def time_process(api: str, home: str, items: int) -> float:
    """Run the step in a separate process and return its duration, in seconds."""
    variables = os.environ | {
        "PREFECT_API_URL": api,
        "PREFECT_HOME": home,
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "benchmarks.orchestration", "--step", "--items", str(items)],
        check=True,
        env=variables,
    )
    return time.perf_counter() - start


def run_step(items: int) -> None:
    """Process that many items, as a stage does."""

    def step(map_shards: MapShards, on_progress: ProgressCallback) -> int:
        done = 0
        for results in map_shards(ShardJob("tiny", square, fail), chunk(range(items), RUN.shard_size)):
            done += len(results)
            on_progress(done, items)
        return done

    assert run_sharded_stage("tiny", RUN, step) == items


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
    main()
