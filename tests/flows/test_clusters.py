"""Shards on Dask and on Ray, each a real local cluster of two worker processes."""

import importlib.util
from ipaddress import ip_address

import psutil
import pytest

from tests.helpers.crop_folders import IDS, SEQUENCES, finished_files, project, start
from tests.helpers.prefect_pages import Pages
from tests.helpers.processes import wait_until
from tests.helpers.videos import contents

pytestmark = [pytest.mark.server, pytest.mark.slow]


def cluster_worker(stage):
    """Find a worker of the cluster that runs a shard: the parent of a process that handles its items."""
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
    """Return the non-loopback addresses on which a process and its children listen."""
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
def test_a_cluster_writes_the_same_bytes_although_a_worker_is_killed(
    prefect_api, undisturbed, tmp_path, runner
):
    if importlib.util.find_spec(runner) is None:
        pytest.skip(f"the extra {runner} is not installed")
    folder = project(tmp_path / runner, task_runner=runner, shard_size=2)
    stage = start(folder, prefect_api)
    finished = wait_until(lambda: finished_files(folder / "crops") or stage.poll() is not None)
    assert stage.poll() is None, stage.communicate()[1]
    family = psutil.Process(stage.pid).children(recursive=True)
    elsewhere = listening_elsewhere(stage)
    wait_until(lambda: cluster_worker(stage)).kill()
    output = stage.communicate(timeout=300)[1]
    assert stage.returncode == 0, output
    assert contents(folder / "crops") == contents(undisturbed / "crops")
    assert (folder / "crops.parquet").read_bytes() == (undisturbed / "crops.parquet").read_bytes()
    assert len(list((folder / "crops").rglob("*.avi"))) == len(IDS) * SEQUENCES
    # Videos finished before the kill were not processed again.
    assert finished_files(folder / "crops").items() >= finished.items()
    run = Pages(prefect_api).runs("crop")[0]
    assert run["state_type"] == "COMPLETED"
    assert len(Pages(prefect_api).tasks(run)) == 4
    assert psutil.wait_procs(family, timeout=60)[1] == []
    assert elsewhere == []
