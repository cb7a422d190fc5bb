"""A pipeline whose flow, workers and server are killed produces the same as an undisturbed one."""

import random
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import psutil
import pytest
from ruamel.yaml import YAML

from tests.helpers.processes import at_work, wait_until
from tests.helpers.project import copy_project
from tests.helpers.servers import free_port, prefect_server

pytestmark = [pytest.mark.server, pytest.mark.slow]
KILLS = 3
TARGET = "train_sr"
"""The last stage of the run: all kills come before its end; `tests/registry` has a killed registration."""


class Server:
    """A Prefect server that can be killed and started again at the same address."""

    def __init__(self, home):
        self.home, self.port, self.running = home, free_port(), None

    def start(self):
        self.running = ExitStack()
        return self.running.enter_context(prefect_server(self.home, self.port))

    def kill(self):
        for process in psutil.process_iter(["cmdline"]):
            line = process.info["cmdline"] or ()
            if str(self.port) in line and "prefect" in line:
                process.kill()
        self.start()

    def stop(self):
        self.running.close()


def start(project, api):
    parent = project.folder.parent
    out = (parent / "log").open("a")
    return subprocess.Popen(
        [sys.executable, "-m", "flows.pipeline", TARGET],
        cwd=project.folder,
        env=project.environment | {"PREFECT_API_URL": api, "PREFECT_HOME": str(parent / "home")},
        stdout=out, stderr=out, start_new_session=True,
    )  # fmt: skip


def worker(flow, chance):
    """Choose a process of the running stage: one of its workers if it has any, else itself or DVC."""
    family = psutil.Process(flow.pid).children(recursive=True)
    alive = [process for process in family if process.status() != psutil.STATUS_ZOMBIE]
    workers = [process for process in alive if "spawn_main" in " ".join(process.cmdline())]
    return chance.choice(workers or alive) if alive else None


def made(folder):
    """Return the modification times of finished files: videos, crops and landmarks with their fragments."""
    # Dot files are incomplete.
    patterns = "videos/[!.]*.parquet", "crops/*/rows.parquet", "landmarks/[!.]*.parquet"
    return {path: path.stat().st_mtime_ns for pattern in patterns for path in folder.glob(pattern)}


def read_lock(project):
    return YAML(typ="safe").load(project.folder / "dvc.lock")["stages"]


def finished_stages(project):
    lock = project.folder / "dvc.lock"
    return set(re.findall(r"^  (\w+):$", lock.read_text(), re.MULTILINE)) if lock.exists() else set()


def begun_stages(log):
    return re.findall(r"Running stage '(\w+)':", log.read_text())


def test_a_pipeline_killed_at_random_moments_ends_as_an_undisturbed_one(reproduced, prefect_home, tmp_path):
    chance, project = random.Random(3), copy_project(tmp_path / "project")
    server, log = Server(prefect_home()), tmp_path / "log"
    api, flow = server.start(), None
    done, done_stages = {}, set()
    for number in range(KILLS):
        if flow is None or flow.poll() is not None:
            flow = start(project, api)
        begun = len(begun_stages(log))
        time.sleep(chance.uniform(1, 8))
        victim = ("flow", "worker", "server")[number % 3]
        if victim == "flow":
            flow.kill()
            flow.wait()
            wait_until(lambda: not at_work(project.folder), 90)
        elif victim == "server":
            server.kill()
        elif flow.poll() is None and (process := worker(flow, chance)) is not None:
            process.send_signal(signal.SIGKILL)
        assert not done_stages & set(begun_stages(log)[begun:])
        now = made(project.folder / "data")
        assert {path: now[path] for path in done} == done
        done, done_stages = now, finished_stages(project)
    if flow.poll() is None:
        flow.wait(900)
    begun = len(begun_stages(log))
    code = start(project, api).wait(900)
    assert code == 0, log.read_text()[-4000:]
    assert not done_stages & set(begun_stages(log)[begun:])
    server.stop()
    assert made(project.folder / "data").items() >= done.items()
    locked = read_lock(reproduced[0])
    del locked["evaluate"], locked["register"]
    assert read_lock(project) == locked
    wait_until(lambda: not at_work(project.folder), 90)
    # DVC ignores the locks of processes that have ended, and removes them when it meets them.
    holders = re.findall(r'"pid": "?(\d+)', (project.folder / ".dvc/tmp/rwlock").read_text())
    assert not any(psutil.pid_exists(int(pid)) for pid in holders)
    assert [path.name for path in (project.folder / ".faceanim").glob("*-run")] == []
