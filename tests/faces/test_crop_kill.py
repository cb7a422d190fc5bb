"""The stage `crop`, killed again and again, ends as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
from ruamel.yaml import YAML

from faceanim.data.items import file_sha256
from faceanim.faces.crop import FRAGMENT
from faceanim.schemas import DOWNLOAD, INDEX
from faceanim.tables import write_table
from tests.data.coded import encode
from tests.videos import contents, moving

PROJECT = Path(__file__).parents[2]
IDS = [f"p{number % 3}--v{number}" for number in range(8)]
SEQUENCES = 10
"""Crops of each video."""


def project(folder):
    """A folder to run the stage in: parameters, videos that are fetched already, and their tables."""
    (folder / "videos").mkdir(parents=True)
    yaml = YAML()
    params = yaml.load(PROJECT / "profiles/sample.yaml")
    params["crop"].update({"min_size": 64, "max_frames": 20, "min_frames": 10})
    yaml.dump(params, folder / "params.yaml")
    frames = [*moving(10 * SEQUENCES, (150, 250)), *moving(10 * SEQUENCES, (250, 150))]
    content = encode("mp4", frames, preset="ultrafast")
    index, download = [], []
    for name in IDS:
        path = Path("videos", f"{name}.mp4")
        (folder / path).write_bytes(content)
        about = {"clip_id": name, "video_id": name, "person_id": name[:2], "url": path.as_posix()}
        index.append(about | {"start_s": 0.0, "split": "train"})
        found = {"path": path.as_posix(), "sha256": file_sha256(folder / path), "attempts": 1}
        download.append({"clip_id": name, "status": "ok", "reason": "none"} | found)
    write_table(index, INDEX, folder / "index.parquet")
    write_table(download, DOWNLOAD, folder / "download.parquet")
    return folder


def start(folder):
    paths = ("index.parquet", "download.parquet", "crops", "crops.parquet", "crop.json")
    return subprocess.Popen(
        [sys.executable, "-m", "stages.crop", *paths],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(PROJECT), "PREFECT_API_URL": ""},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


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


def finished_files(folder):
    """When each file of a finished video was made."""
    return {
        path: path.stat().st_mtime_ns
        for fragment in folder.glob(f"*/{FRAGMENT}")
        for path in fragment.parent.iterdir()
    }


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
