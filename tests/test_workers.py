import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from faceanim.config import RunConfig
from faceanim.errors import FaceanimError
from faceanim.schemas import Reason
from faceanim.workers import ShardJob, chunk, make_pool_mapper, run_shard
from tests.helpers.paths import PROJECT

RUN = RunConfig(
    workers=2,
    shard_size=2,
    item_timeout_s=2,
    worker_memory_mb=1024,
    task_runner="processes",
    cluster="",
    tracking_uri="",
)


def behave(item):
    if item == "crash":
        os._exit(11)
    if item == "hang":
        time.sleep(60)
    if item == "hoard":
        bytearray(2 << 30)
    if item == "raise":
        raise OSError("the disk is full")
    return f"{item} done"


def give_up(item, reason):
    return reason


def test_items_are_cut_into_shards():
    assert chunk([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]


@pytest.mark.slow
def test_a_crash_and_a_hang_cost_their_own_item_only():
    work = ShardJob("test", behave, give_up)
    results = list(make_pool_mapper(RUN)(work, [["a", "crash", "b"], ["hang", "c"], ["hoard", "d"]]))
    assert results == [
        ["a done", Reason.CRASHED, "b done"],
        [Reason.TIMED_OUT, "c done"],
        [Reason.OUT_OF_MEMORY, "d done"],
    ]


def write_pid_and_wait(item):
    Path(item).write_text(str(os.getpid()))
    time.sleep(60)


@pytest.mark.server
def test_workers_die_with_their_parent(tmp_path):
    """An orphan would keep writing to the folder of the next run."""
    code = f"""
from faceanim.workers import ShardJob, make_pool_mapper
from tests.test_workers import RUN, give_up, write_pid_and_wait
if __name__ == "__main__":
    run = RUN.model_copy(update={{"item_timeout_s": 60}})
    list(make_pool_mapper(run)(ShardJob("test", write_pid_and_wait, give_up), [[{str(tmp_path / "pid")!r}]]))
"""
    (tmp_path / "main.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    parent = subprocess.Popen([sys.executable, tmp_path / "main.py"], env=environment)
    worker = int(wait_for(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text()))
    assert psutil.pid_exists(worker)
    parent.kill()
    parent.wait()
    wait_for(lambda: not psutil.pid_exists(worker))


def wait_for(condition):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise TimeoutError


def test_an_error_that_is_not_the_items_ends_the_run():
    work = ShardJob("test", behave, give_up)
    with pytest.raises(OSError, match="disk is full"):
        list(make_pool_mapper(RUN)(work, [["a", "raise"]]))


def stretch(side):
    """Return the side of an image resized to `side` pixels."""
    return cv2.resize(np.zeros((8, 8), np.uint8), (side, side)).shape[0]


def test_opencv_without_memory_is_a_reason_like_any_other():
    run = RUN.model_copy(update={"workers": 1, "item_timeout_s": 60})
    made = list(make_pool_mapper(run)(ShardJob("stretch", stretch, give_up), [[16], [40_000], [32]]))
    assert made == [[16], [Reason.OUT_OF_MEMORY], [32]]


def die_once(item):
    """Be killed the first time, as by a system that is short of memory."""
    if item.exists():
        return "done"
    item.touch()
    return os.kill(os.getpid(), signal.SIGKILL)


def test_the_item_of_a_killed_worker_is_retried(tmp_path):
    work = ShardJob("test", die_once, give_up)
    assert list(make_pool_mapper(RUN)(work, [[tmp_path / "a", tmp_path / "b"]])) == [["done", "done"]]


def test_a_shard_on_another_machine_runs_in_the_projects_folder(tmp_path):
    (tmp_path / "here").touch()
    work = ShardJob("test", Path.exists, give_up)
    assert run_shard(RUN, work, [Path("here"), Path("there")], tmp_path) == [True, False]
    with pytest.raises(FaceanimError, match="all machines of a cluster must share it"):
        run_shard(RUN, work, [Path("here")], tmp_path / "elsewhere")
