"""Runs of the stage `crop` that are killed and resumed."""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from faceanim.config import load_params
from faceanim.faces.crop_stage import crop_videos
from tests.helpers.crop_folders import IDS, SEQUENCES, finished_files, project, start
from tests.helpers.videos import contents, ignore, inline

KILLS = 3


def kill(process, whole_group):
    """Kill the stage with its workers, or the stage alone, and check that its workers then exit."""
    workers = psutil.Process(process.pid).children(recursive=True)
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()
    assert psutil.wait_procs(workers, timeout=10)[1] == []


def count_newer(folder, start_ns):
    """Count the files below a folder that were written after `start_ns`, including incomplete ones."""
    count = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # renamed in the meantime
                count += Path(root, name).stat().st_mtime_ns > start_ns
    return count


def run_undisturbed(folder, monkeypatch):
    """Run the work of the stage in this process."""
    monkeypatch.chdir(folder)
    params = load_params()
    index, download, crops, out = map(Path, ("index.parquet", "download.parquet", "crops", "crops.parquet"))
    crop_videos(params.crop, params.run, index, download, crops, out, inline, ignore)
    return folder


@pytest.mark.slow
@pytest.mark.server
def test_a_run_killed_three_times_ends_as_an_undisturbed_one(tmp_path, monkeypatch):
    generator = random.Random(1)
    folder = project(tmp_path / "killed")
    finished: dict[Path, int] = {}
    for number in range(KILLS):
        remaining = len(IDS) * SEQUENCES - sum(path.suffix == ".avi" for path in finished)
        start_ns, files = time.time_ns(), generator.randint(0, remaining // 2)
        process = start(folder)
        while count_newer(folder / "crops", start_ns) < files:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.05))
        kill(process, whole_group=number % 2 == 0)
        previous, finished = finished, finished_files(folder / "crops")
        assert finished.items() >= previous.items()
    assert 0 < len(finished) < len(IDS) * (SEQUENCES + 1), "the kills were not spread over the run"
    last = start(folder)
    assert (last.communicate()[1].splitlines()[-1], last.returncode) == ("crop: 8/8", 0)
    assert finished_files(folder / "crops").items() >= finished.items()
    undisturbed = run_undisturbed(project(tmp_path / "undisturbed"), monkeypatch)
    assert contents(folder / "crops") == contents(undisturbed / "crops")
    assert (folder / "crops.parquet").read_bytes() == (undisturbed / "crops.parquet").read_bytes()
    assert len(list((undisturbed / "crops").rglob("*.avi"))) == len(IDS) * SEQUENCES
