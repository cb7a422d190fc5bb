"""The stage `download`, killed again and again, ends as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from faceanim.schemas import INDEX
from faceanim.tables import write_table
from tests.helpers.paths import PROJECT
from tests.helpers.video_server import ALWAYS, film, serve
from tests.helpers.videos import contents

NAMES = [f"v{number}" for number in range(8)]
POLITE = {"max_concurrent": 2, "sleep_s": 0.0, "retries": 1, "backoff_s": 0.1, "stall_s": 10.0}


def project(folder, site):
    """A folder to run the stage in: the parameters, and an index of addresses that send slowly."""
    folder.mkdir()
    yaml = YAML()
    params = yaml.load(PROJECT / "profiles" / "sample.yaml")
    params["download"].update(POLITE)
    yaml.dump(params, folder / "params.yaml")
    rows = [
        {"clip_id": name, "person_id": "p", "video_id": name, "url": url, "start_s": 0.0, "split": "train"}
        for name in NAMES
        for url in [site.url("slow", f"{name}.mp4")]
    ]
    write_table(rows, INDEX, folder / "index.parquet")
    return folder


def start(folder):
    paths = ("index.parquet", "data/videos", "data/download.parquet", "data/download.json")
    return subprocess.Popen(
        [sys.executable, "-m", "stages.download", *paths],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PREFECT_API_URL": ""},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill(process, whole_group):
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
        deadline = time.monotonic() + 10
        while workers(process.pid):
            assert time.monotonic() < deadline, "a worker outlived its parent"
            time.sleep(0.01)
    process.communicate()


def workers(session):
    """The processes of a session that are still there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(path)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the workers in /proc")
def test_a_run_killed_at_ten_moments_ends_as_an_undisturbed_one(tmp_path):
    chance = random.Random(0)
    with serve() as site:
        content = film(tmp_path / "v.mp4", 600_000)
        site.contents = {f"{name}.mp4": content for name in NAMES}
        site.chunk_s = 0.01
        folder = project(tmp_path / "killed", site)
        finished: dict[str, int] = {}
        for number in range(10):
            process, moment = start(folder), site.chunks + chance.randint(1, 25)
            while site.chunks < moment:
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.05))
            kill(process, whole_group=number % 2 == 0)
            for path in (folder / "data" / "videos").glob("*.mp4"):
                address = f"/slow/{ALWAYS}/{path.name}"
                finished.setdefault(address, site.asked[address])
        assert 0 < len(finished) < len(NAMES)  # or the kills were not spread over the run
        last = start(folder)
        assert (last.communicate()[1].splitlines()[-1], last.returncode) == ("download: 8/8", 0)
        assert {address: site.asked[address] for address in finished} == finished
        assert any(request.first_byte > 0 for request in site.requests)
        assert site.busiest <= POLITE["max_concurrent"]
        site.chunk_s = 0.0
        undisturbed = project(tmp_path / "undisturbed", site)
        assert start(undisturbed).wait(60) == 0
    assert contents(folder) == contents(undisturbed)
    assert not [path for path in (folder / "data" / "videos").iterdir() if path.is_dir()]
