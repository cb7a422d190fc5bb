"""What Prefect costs: 20,000 tiny items in shards, by the process pool alone and as a flow run with a server.

Each run is a process of its own, as a stage is, measured from start to exit; and the server must have a
record of every task run.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

import httpx

from benchmarks.common import finish
from faceanim.config import RunConfig
from faceanim.progress import ProgressCallback
from faceanim.schemas import Reason
from faceanim.workers import MapShards, ShardJob, chunk
from flows.stage_runs import run_sharded_stage
from flows.ui import prefect_server

ITEMS = 20_000
RUNS = 3
BUDGET_MS = 1.0
"""An item may cost that much more with Prefect."""
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


def tiny(item: int) -> int:
    """Hardly any work."""
    return item * item


def give_up(item: int, reason: Reason) -> int:
    """What must not happen."""
    raise RuntimeError(f"item {item}: {reason}")


def step(map_shards: MapShards, on_progress: ProgressCallback) -> int:
    """Go over all items."""
    done = 0
    for results in map_shards(ShardJob("tiny", tiny, give_up), chunk(range(ITEMS), RUN.shard_size)):
        done += len(results)
        on_progress(done, ITEMS)
    return done


def timed(api: str, home: str) -> float:
    """Seconds of a process that does the step."""
    variables = os.environ | {
        "PREFECT_API_URL": api,
        "PREFECT_HOME": home,
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "benchmarks.orchestration", "step"], check=True, env=variables)
    return time.perf_counter() - began


def recorded(api: str, task: str) -> int:
    """How many task runs of that name ended well, by the server's count; it may lag behind."""
    query = {"task_runs": {"name": {"like_": task}, "state": {"type": {"any_": ["COMPLETED"]}}}}
    answer = httpx.post(f"{api}/task_runs/count", json=query, timeout=60)
    return int(answer.raise_for_status().text)


def wait_for_records(api: str, wanted: int) -> int:
    """The number of task runs recorded, once there are enough or a minute is over."""
    for _ in range(60):
        if recorded(api, "tiny shard") >= wanted:
            break
        time.sleep(1)
    return recorded(api, "tiny shard")


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["PREFECT_HOME"] = name
        with prefect_server(PORT) as page:
            api = f"{page}/api"
            timed(api, name)  # unmeasured: the server's first requests compile its queries
            bare, served = [], []
            for _ in range(RUNS):
                bare.append(timed("", name))
                served.append(timed(api, name))
            shards = len(chunk(range(ITEMS), RUN.shard_size))
            wanted = shards * (RUNS + 1)
            found = wait_for_records(api, wanted)
    extra_ms = (statistics.median(served) - statistics.median(bare)) / ITEMS * 1000
    for label, seconds in (("process pool", bare), ("Prefect", served)):
        spread = ", ".join(f"{value:.1f}" for value in seconds)
        print(
            f"{label:13} {statistics.median(seconds):6.1f} s for {ITEMS:,} items in {shards} tasks ({spread})"
        )
    print(f"Prefect costs {extra_ms:.3f} ms an item (budget {BUDGET_MS}); {found} of {wanted} tasks recorded")
    finish({"budget_over_cost": BUDGET_MS / extra_ms, "recorded": found / wanted})


if __name__ == "__main__":
    if sys.argv[1:] == ["step"]:
        assert run_sharded_stage("tiny", RUN, step) == ITEMS
    else:
        main()
