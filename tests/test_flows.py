"""The Prefect side, with a real server and with none."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from faceanim.config import RunConfig
from faceanim.errors import FaceanimError
from faceanim.shards import Work, cut
from flows.pipeline import run_pipeline, run_with_prefect, stage_names
from flows.shards import drive

PROJECT = Path(__file__).parents[1]
RUN = RunConfig(workers=2, shard_size=2, item_timeout_s=30, worker_memory_mb=1024, tracking_uri="")


def double(item):
    return 2 * item


def give_up(item, reason):
    return -1


def doubled(map_shards):
    work = Work("double", double, give_up)
    return [result for shard in map_shards(work, cut([1, 2, 3, 4, 5], RUN.shard_size)) for result in shard]


@pytest.fixture(scope="module")
def prefect_api(tmp_path_factory):
    """A real Prefect server on loopback, with a home of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("prefect")
    environment = {**os.environ, "PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}/api"
    try:
        for _ in range(240):
            time.sleep(0.5)
            try:
                if httpx.get(f"{address}/health").is_success:
                    break
            except httpx.TransportError:
                assert server.poll() is None, (home / "log").read_text()[-2000:]
        else:
            pytest.fail(f"the Prefect server did not start: {(home / 'log').read_text()[-2000:]}")
        yield address
    finally:
        server.terminate()
        server.wait(30)


def test_without_an_api_prefect_is_not_imported():
    script = (
        "import sys\n"
        "from tests.test_flows import RUN, doubled\n"
        "for name in [name for name in sys.modules if name.startswith('prefect')]: del sys.modules[name]\n"
        "from flows.shards import drive\n"
        "assert drive('double', RUN, doubled) == [2, 4, 6, 8, 10]\n"
        "assert 'prefect' not in sys.modules\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, env=environment, check=True)


def test_with_an_api_a_step_is_a_flow_run_with_a_task_per_shard(prefect_api, tmp_path):
    script = (
        "from tests.test_flows import RUN, doubled\n"
        "from flows.shards import drive\n"
        "if __name__ == '__main__':\n"
        "    assert drive('double', RUN, doubled) == [2, 4, 6, 8, 10]\n"
    )
    environment = {**os.environ, "PREFECT_API_URL": prefect_api, "PREFECT_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, env=environment, check=True)
    (flow_run,) = httpx.post(
        f"{prefect_api}/flow_runs/filter", json={"flows": {"name": {"any_": ["double"]}}}
    ).json()
    assert flow_run["state_type"] == "COMPLETED"
    tasks = httpx.post(
        f"{prefect_api}/task_runs/filter", json={"task_runs": {"flow_run_id": {"any_": [flow_run["id"]]}}}
    ).json()
    assert sorted(task["name"] for task in tasks) == [f"double shard {n} of 3" for n in (1, 2, 3)]
    assert {task["state_type"] for task in tasks} == {"COMPLETED"}


TWO_STAGES = """
stages:
  first:
    cmd: python -c "open('a', 'w').write('1')"
    outs: [a]
  second:
    cmd: python -c "open('b', 'w').write(open('a').read())"
    deps: [a]
    outs: [b]
"""


@pytest.fixture
def two_stages(tmp_path):
    (tmp_path / "dvc.yaml").write_text(TWO_STAGES)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet", "--no-scm"], cwd=tmp_path, check=True)
    return tmp_path


def run_flow(folder, **environment):
    hidden = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    home = {"PREFECT_HOME": str(folder / "home"), "PYTHONPATH": str(PROJECT)}
    return subprocess.run(
        [sys.executable, "-m", "flows.pipeline"],
        cwd=folder,
        env=hidden | home | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_pipeline_is_a_flow_run_with_a_task_per_stage(prefect_api, two_stages):
    done = run_flow(two_stages, PREFECT_API_URL=prefect_api)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (two_stages / "b").read_text() == "1"
    (flow_run,) = httpx.post(
        f"{prefect_api}/flow_runs/filter", json={"flows": {"name": {"any_": ["pipeline"]}}}
    ).json()
    assert flow_run["state_type"] == "COMPLETED"
    tasks = httpx.post(
        f"{prefect_api}/task_runs/filter", json={"task_runs": {"flow_run_id": {"any_": [flow_run["id"]]}}}
    ).json()
    assert {task["name"]: task["state_type"] for task in tasks} == {
        "first": "COMPLETED",
        "second": "COMPLETED",
    }


def test_without_an_api_the_pipeline_runs_all_the_same(two_stages):
    done = run_flow(two_stages)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "running without a server" in done.stderr
    assert (two_stages / "b").read_text() == "1"


def test_a_stage_that_fails_is_said_in_one_line(two_stages):
    (two_stages / "dvc.yaml").write_text(TWO_STAGES.replace("open('a').read()", "undefined"))
    done = run_flow(two_stages)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: `-m dvc repro second` failed")


def test_an_api_that_does_not_answer_is_one_line():
    with pytest.raises(FaceanimError, match="does not answer") as caught:
        run_with_prefect(["index"], False, "http://127.0.0.1:9/api")
    assert "\n" not in str(caught.value)


def test_stages_are_those_of_dvc_yaml(tmp_path):
    assert stage_names(PROJECT / "dvc.yaml")[:2] == ["index", "download"]
    with pytest.raises(FaceanimError, match="in the project's folder"):
        stage_names(tmp_path / "dvc.yaml")


def test_an_unknown_target_is_one_line(monkeypatch):
    monkeypatch.chdir(PROJECT)
    with pytest.raises(FaceanimError, match="no stage is called 'train'"):
        run_pipeline("train")


def test_drive_returns_what_the_step_returns(monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert drive("double", RUN, doubled) == [2, 4, 6, 8, 10]
