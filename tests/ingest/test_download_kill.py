"""Runs of the stage `download` that are killed and resumed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from faceanim.config import load_params
from faceanim.ingest.download import download_videos
from faceanim.schemas import INDEX
from faceanim.tables import write_json, write_table
from tests.helpers.paths import PROJECT
from tests.helpers.video_server import ALWAYS, make_video, serve
from tests.helpers.videos import contents, ignore, inline

NAMES = [f"v{number}" for number in range(8)]
LIMITS = {"max_concurrent": 2, "sleep_s": 0.0, "retries": 1, "backoff_s": 0.1, "stall_s": 10.0}
KILLS = 3
PATHS = ("index.parquet", "data/videos", "data/download.parquet", "data/download.json")


def project(folder, site):
    """Make a folder to run the stage in: the parameters, and an index of addresses that send slowly."""
    folder.mkdir()
    yaml = YAML()
    params = yaml.load(PROJECT / "profiles" / "sample.yaml")
    params["download"].update(LIMITS)
    yaml.dump(params, folder / "params.yaml")
    rows = [
        {"clip_id": name, "person_id": "p", "video_id": name, "url": url, "start_s": 0.0, "split": "train"}
        for name in NAMES
        for url in [site.url("slow", f"{name}.mp4")]
    ]
    write_table(rows, INDEX, folder / "index.parquet")
    return folder


def start(folder):
    """Start the stage."""
    return subprocess.Popen(
        [sys.executable, "-m", "stages.download", *PATHS],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PREFECT_API_URL": ""},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill(process, whole_group):
    """Kill the stage with its workers, or the stage alone, and check that its workers then exit."""
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
    """Return the running processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(path)
    return found


def run_undisturbed(folder, monkeypatch):
    """Run the work of the stage in this process."""
    monkeypatch.chdir(folder)
    params = load_params()
    index, videos, out, metrics = map(Path, PATHS)
    counts = download_videos(params.download, params.run, index, videos, out, inline, ignore)
    write_json(counts, metrics)
    return folder


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the workers in /proc")
def test_a_run_killed_three_times_ends_as_an_undisturbed_one(tmp_path, monkeypatch):
    generator = random.Random(0)
    with serve() as site:
        content = make_video(tmp_path / "v.mp4", 600_000)
        site.contents = {f"{name}.mp4": content for name in NAMES}
        site.chunk_delay_s = 0.01
        folder = project(tmp_path / "killed", site)
        finished: dict[str, int] = {}
        for number in range(KILLS):
            process, chunks = start(folder), site.chunks_sent + generator.randint(1, 70)
            while site.chunks_sent < chunks:
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.002)
            time.sleep(generator.uniform(0, 0.05))
            kill(process, whole_group=number % 2 == 0)
            for path in (folder / "data" / "videos").glob("*.mp4"):
                address = f"/slow/{ALWAYS}/{path.name}"
                finished.setdefault(address, site.request_counts[address])
        assert 0 < len(finished) < len(NAMES), "the kills were not spread over the run"
        last = start(folder)
        assert (last.communicate()[1].splitlines()[-1], last.returncode) == ("download: 8/8", 0)
        assert {address: site.request_counts[address] for address in finished} == finished
        assert any(request.first_byte > 0 for request in site.requests)
        assert site.max_in_flight <= LIMITS["max_concurrent"]
        site.chunk_delay_s = 0.0
        undisturbed = run_undisturbed(project(tmp_path / "undisturbed", site), monkeypatch)
    assert contents(folder) == contents(undisturbed)
    assert not [path for path in (folder / "data" / "videos").iterdir() if path.is_dir()]
