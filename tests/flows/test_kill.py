"""A pipeline whose flow, workers and server are killed ends as if nothing had happened."""

import random
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import psutil
import pytest

from tests.helpers.processes import at_work, wait_until
from tests.helpers.project import copy_project
from tests.helpers.servers import free_port, prefect_server

pytestmark = pytest.mark.pipeline
KILLS = 10


class Server:
    """A Prefect server that is killed now and then, and started again at the same address."""

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
    out = (parent / "said").open("a")
    return subprocess.Popen(
        [sys.executable, "-m", "flows.pipeline"],
        cwd=project.folder,
        env=project.environment | {"PREFECT_API_URL": api, "PREFECT_HOME": str(parent / "home")},
        stdout=out, stderr=out, start_new_session=True,
    )  # fmt: skip


def worker(flow, chance):
    """A process of the stage at work: one of its workers if it has some, else itself or DVC."""
    family = psutil.Process(flow.pid).children(recursive=True)
    alive = [process for process in family if process.status() != psutil.STATUS_ZOMBIE]
    workers = [process for process in alive if "spawn_main" in " ".join(process.cmdline())]
    return chance.choice(workers or alive) if alive else None


def made(folder):
    """When each file of what is finished was made: videos, crops and landmarks with their fragments."""
    patterns = "videos/[!.]*.parquet", "crops/*/rows.parquet", "landmarks/[!.]*.parquet"  # .*: being written
    return {path: path.stat().st_mtime_ns for pattern in patterns for path in folder.glob(pattern)}


def finished_stages(project):
    lock = project.folder / "dvc.lock"
    return set(re.findall(r"^  (\w+):$", lock.read_text(), re.MULTILINE)) if lock.exists() else set()


def begun_stages(said):
    return re.findall(r"Running stage '(\w+)':", said.read_text())


def test_a_pipeline_killed_at_ten_moments_ends_as_an_undisturbed_one(reproduced, tmp_path):
    chance, project = random.Random(3), copy_project(tmp_path / "project")
    server, said = Server(tmp_path / "server"), tmp_path / "said"
    api, flow = server.start(), None
    done, done_stages = {}, set()
    for number in range(KILLS):
        if flow is None or flow.poll() is not None:
            flow = start(project, api)
        begun = len(begun_stages(said))
        time.sleep(chance.uniform(1, 6))
        victim = ("flow", "worker", "server")[number % 3]
        if victim == "flow":
            flow.kill()
            flow.wait()
            wait_until(lambda: not at_work(project.folder), 90)
        elif victim == "server":
            server.kill()
        elif flow.poll() is None and (process := worker(flow, chance)) is not None:
            process.send_signal(signal.SIGKILL)
        assert not done_stages & set(begun_stages(said)[begun:])
        now = made(project.folder / "data")
        assert {path: now[path] for path in done} == done
        done, done_stages = now, finished_stages(project)
    if flow.poll() is None:
        flow.wait(300)
    begun = len(begun_stages(said))
    code = start(project, api).wait(400)
    assert code == 0, said.read_text()[-4000:]
    assert not done_stages & set(begun_stages(said)[begun:])
    server.stop()
    assert made(project.folder / "data").items() >= done.items()
    assert (project.folder / "dvc.lock").read_text() == (reproduced[0].folder / "dvc.lock").read_text()
    wait_until(lambda: not at_work(project.folder), 90)
    # DVC's locks name their processes, and count while these live; it sweeps the others out when they matter.
    holders = re.findall(r'"pid": "?(\d+)', (project.folder / ".dvc/tmp/rwlock").read_text())
    assert not any(psutil.pid_exists(int(pid)) for pid in holders)
    assert [path.name for path in (project.folder / ".faceanim").glob("*-run")] == []
