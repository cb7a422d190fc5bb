"""The stage `crop`, killed again and again, ends as if nothing had happened."""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

from tests.helpers.crop_folders import IDS, SEQUENCES, finished_files, project, start
from tests.helpers.videos import contents


def kill(process, whole_group):
    """Kill the stage, or the stage alone, and see that its workers end with it."""
    workers = psutil.Process(process.pid).children(recursive=True)
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()
    assert psutil.wait_procs(workers, timeout=10)[1] == []


def made_since(folder, begin_ns):
    """How many of the files below a folder are newer, half-written ones included."""
    made = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # it has got another name since
                made += Path(root, name).stat().st_mtime_ns > begin_ns
    return made


def test_a_run_killed_at_ten_moments_ends_as_an_undisturbed_one(tmp_path):
    chance = random.Random(1)
    folder = project(tmp_path / "killed")
    finished: dict[Path, int] = {}
    for number in range(10):
        left = len(IDS) * SEQUENCES - sum(path.suffix == ".avi" for path in finished)
        begin_ns, files = time.time_ns(), chance.randint(0, left // 2)
        process = start(folder)
        while made_since(folder / "crops", begin_ns) < files:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.05))
        kill(process, whole_group=number % 2 == 0)
        now = finished_files(folder / "crops")
        assert now.items() >= finished.items()
        finished = now
    assert 0 < len(finished) < len(IDS) * (SEQUENCES + 1)  # or the kills were not spread over the run
    last = start(folder)
    assert (last.communicate()[1].splitlines()[-1], last.returncode) == ("crop: 8/8", 0)
    assert finished_files(folder / "crops").items() >= finished.items()
    undisturbed = project(tmp_path / "undisturbed")
    assert start(undisturbed).wait(60) == 0
    assert contents(folder / "crops") == contents(undisturbed / "crops")
    assert (folder / "crops.parquet").read_bytes() == (undisturbed / "crops.parquet").read_bytes()
    assert len(list((undisturbed / "crops").rglob("*.avi"))) == len(IDS) * SEQUENCES
