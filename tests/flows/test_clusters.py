"""Shards on Dask and on Ray, each a real local cluster of two worker processes."""

import importlib.util
from ipaddress import ip_address

import psutil
import pytest

from tests.helpers.crop_folders import IDS, SEQUENCES, finished_files, project, start
from tests.helpers.prefect_pages import Pages
from tests.helpers.processes import wait_until
from tests.helpers.videos import contents


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What the process pool makes, without a server."""
    folder = project(tmp_path_factory.mktemp("alone") / "p")
    assert start(folder).wait(120) == 0
    return folder


def cluster_worker(stage):
    """A worker of the cluster that has a shard: the parent of a process that works on its items."""
    for process in psutil.Process(stage.pid).children(recursive=True):
        try:
            if process.children() or "spawn_main" not in " ".join(process.cmdline()):
                continue
            parent = process.parent()
            if parent is not None and parent.pid != stage.pid:
                return parent
        except psutil.NoSuchProcess:
            continue
    return None


def listening_elsewhere(stage):
    """The addresses other than loopback on which a process and its children listen."""
    found = []
    for process in [psutil.Process(stage.pid), *psutil.Process(stage.pid).children(recursive=True)]:
        try:
            sockets = process.net_connections("tcp")
        except psutil.NoSuchProcess:
            continue
        found += [
            each.laddr
            for each in sockets
            if each.status == psutil.CONN_LISTEN
            and not ip_address(each.laddr.ip.removeprefix("::ffff:")).is_loopback
        ]
    return found


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_a_cluster_gives_the_same_bytes_though_a_worker_is_killed(prefect_api, alone, tmp_path, runner):
    if importlib.util.find_spec(runner) is None:
        pytest.skip(f"the extra {runner} is not installed")
    folder = project(tmp_path / runner, task_runner=runner, shard_size=2)
    stage = start(folder, prefect_api)
    finished = wait_until(lambda: finished_files(folder / "crops") or stage.poll() is not None)
    assert stage.poll() is None, stage.communicate()[1]
    family = psutil.Process(stage.pid).children(recursive=True)
    elsewhere = listening_elsewhere(stage)
    wait_until(lambda: cluster_worker(stage)).kill()
    said = stage.communicate(timeout=300)[1]
    assert stage.returncode == 0, said
    assert contents(folder / "crops") == contents(alone / "crops")
    assert (folder / "crops.parquet").read_bytes() == (alone / "crops.parquet").read_bytes()
    assert len(list((folder / "crops").rglob("*.avi"))) == len(IDS) * SEQUENCES
    # What was finished before the kill has not been made again.
    assert finished_files(folder / "crops").items() >= finished.items()
    run = Pages(prefect_api).runs("crop")[0]
    assert run["state_type"] == "COMPLETED"
    assert len(Pages(prefect_api).tasks(run)) == 4
    assert psutil.wait_procs(family, timeout=60)[1] == []
    assert elsewhere == []
