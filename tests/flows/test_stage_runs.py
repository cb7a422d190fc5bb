"""A stage with a Prefect server, without one, and with one that does not respond."""

import os
import subprocess
import sys

import pytest

from faceanim.config import RunConfig
from faceanim.errors import FaceanimError
from faceanim.workers import ShardJob, chunk
from flows.stage_runs import run_sharded_stage
from tests.helpers.paths import PROJECT
from tests.helpers.prefect_pages import Pages

pytestmark = pytest.mark.server

RUN = RunConfig(
    workers=2,
    shard_size=2,
    item_timeout_s=30,
    worker_memory_mb=1024,
    task_runner="processes",
    cluster="",
    tracking_uri="",
)
NOWHERE = "http://127.0.0.1:9/api"


def double(item):
    return 2 * item


def fail_once(path):
    """Process a file unless that is done; the file `2` fails once, as on a network disk that disconnects."""
    done = path.with_suffix(".done")
    if not done.exists():
        if path.name == "2" and not path.exists():
            path.touch()
            raise ConnectionError("the share is disconnected")
        with path.with_suffix(".count").open("a") as file:
            file.write("x")
        done.touch()
    return path.name


def fill_the_disk(item):
    if item == 2:
        raise OSError(28, "No space left on device", "data/crops")
    return item


def give_up(item, reason):
    return -1


def mapped(do, items):
    def step(map_shards, on_progress):
        results = []
        for shard in map_shards(ShardJob("double", do, give_up), chunk(items, RUN.shard_size)):
            results += shard
            on_progress(len(results), len(items), f"{len(results)} there")
        return results

    return step


doubled = mapped(double, [1, 2, 3, 4, 5])


def run_script(folder, script, api):
    """Run a script that has imported the names of this file."""
    lines = [
        "from pathlib import Path",
        "from flows.stage_runs import run_sharded_stage, run_single_stage",
        "from tests.flows.test_stage_runs import *",
        "if __name__ == '__main__':",
        *(f"    {line}" for line in script.splitlines()),
    ]
    (folder / "main.py").write_text("\n".join(lines))
    hidden = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return subprocess.run(
        [sys.executable, "main.py"],
        cwd=folder,
        env=hidden | {"PREFECT_HOME": str(folder), "PYTHONPATH": str(PROJECT), "PREFECT_API_URL": api},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_an_api_prefect_is_not_imported(tmp_path):
    script = (
        "assert run_sharded_stage('double', RUN, doubled) == [2, 4, 6, 8, 10]\n"
        "assert run_single_stage('train', lambda watcher: watcher(1, 2) or 5) == 5\n"
        "import sys; assert 'prefect' not in sys.modules"
    )
    done = run_script(tmp_path, script, api="")
    assert done.returncode == 0, done.stderr


def test_with_an_api_a_step_is_a_flow_run_with_a_task_per_shard(prefect_api, tmp_path):
    done = run_script(
        tmp_path, "assert run_sharded_stage('double', RUN, doubled) == [2, 4, 6, 8, 10]", prefect_api
    )
    assert done.returncode == 0, done.stderr
    pages = Pages(prefect_api)
    (run,) = pages.runs("double")
    assert run["state_type"] == "COMPLETED"
    assert pages.tasks(run) == {f"double shard {n} of 3": "COMPLETED" for n in (1, 2, 3)}
    bar = pages.artifacts(run)["double-progress"]
    assert bar["data"] == 100
    assert bar["description"].startswith("5 of 5, ")
    assert bar["description"].endswith("5 there")


def test_a_stage_without_shards_is_a_flow_run_too(prefect_api, tmp_path):
    script = (
        "def train(watcher):\n"
        "    watcher(1, 10)\n"
        "    watcher.link('its curves', 'http://127.0.0.1:5000/#/x')\n"
        "    watcher(2, 10, 'loss 0.5')\n"
        "    raise FaceanimError('stopped at step 2')\n"
        "try:\n"
        "    run_single_stage('fine_tune', train)\n"
        "except FaceanimError as error:\n"
        "    print(error)"
    )
    done = run_script(tmp_path, script, prefect_api)
    assert done.stdout == "stopped at step 2\n", done.stderr
    pages = Pages(prefect_api)
    (run,) = pages.runs("fine_tune")
    assert run["state_type"] == "FAILED"
    assert run["state"]["message"] == "stopped at step 2"
    shown = pages.artifacts(run)
    assert shown["fine-tune-progress"]["data"] == 20
    assert "loss 0.5" in shown["fine-tune-progress"]["description"]
    assert shown["fine-tune-link"]["data"] == "[its curves](http://127.0.0.1:5000/#/x)"


def test_only_the_failed_shard_is_retried_and_only_its_unfinished_items(prefect_api, tmp_path):
    script = (
        "items = [Path(str(n)) for n in range(1, 6)]\n"
        "assert run_sharded_stage('share', RUN, mapped(fail_once, items)) == ['1', '2', '3', '4', '5']"
    )
    done = run_script(tmp_path, script, prefect_api)
    assert done.returncode == 0, done.stderr
    assert [path.read_text() for path in sorted(tmp_path.glob("*.count"))] == ["x"] * 5
    (run,) = Pages(prefect_api).runs("share")
    assert run["state_type"] == "COMPLETED"


def test_a_full_disk_is_not_retried_and_is_reported_in_one_line(prefect_api, tmp_path):
    script = (
        "try:\n"
        "    run_sharded_stage('full', RUN, mapped(fill_the_disk, [1, 2, 3, 4]))\n"
        "except FaceanimError as error:\n"
        "    print(error)"
    )
    done = run_script(tmp_path, script, prefect_api)
    assert done.stdout.startswith("data/crops: no space left on device; finished work is kept"), done.stderr
    assert "Traceback" not in done.stderr
    (run,) = Pages(prefect_api).runs("full")
    assert run["state_type"] == "FAILED"
    assert run["state"]["message"] == done.stdout.strip()


def test_an_api_that_does_not_respond_costs_a_line(tmp_path):
    script = (
        "assert run_sharded_stage('double', RUN, doubled) == [2, 4, 6, 8, 10]\n"
        "assert run_single_stage('train', lambda watcher: watcher(1, 2) or 5) == 5"
    )
    done = run_script(tmp_path, script, NOWHERE)
    assert done.returncode == 0, done.stderr
    for name in ("double", "train"):
        assert f"{name}: the Prefect API at {NOWHERE} does not respond" in done.stderr


def test_a_cluster_needs_an_api(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run = RUN.model_copy(update={"task_runner": "dask"})
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(FaceanimError, match="needs a Prefect API: `make ui`"):
        run_sharded_stage("double", run, doubled)
    script = (
        "try:\n"
        "    run_sharded_stage('double', RUN.model_copy(update={'task_runner': 'dask'}), doubled)\n"
        "except FaceanimError as error:\n"
        "    print(type(error).__name__, error)"
    )
    done = run_script(tmp_path, script, NOWHERE)
    assert done.stdout.startswith("TemporaryError run.task_runner is dask, but the Prefect API at"), (
        done.stderr
    )


def test_a_cluster_that_does_not_respond_is_reported_in_one_line(prefect_api, tmp_path):
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    script = (
        "import os; os.environ['DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT'] = '1s'\n"
        "run = RUN.model_copy(update={'task_runner': 'dask', 'cluster': 'tcp://127.0.0.1:9'})\n"
        "try:\n"
        "    run_sharded_stage('lost', run, doubled)\n"
        "except FaceanimError as error:\n"
        "    print(type(error).__name__, error)"
    )
    done = run_script(tmp_path, script, prefect_api)
    expected = "TemporaryError run.cluster: cannot connect to tcp://127.0.0.1:9"
    assert done.stdout.startswith(expected), done.stderr
    (run,) = Pages(prefect_api).runs("lost")
    assert run["state_type"] == "FAILED"
