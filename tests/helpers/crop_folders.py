"""Folders to run the stage `crop` in."""

import os
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from faceanim.faces.crop_stage import FRAGMENT_NAME
from faceanim.schemas import DOWNLOAD, INDEX
from faceanim.tables import Row, file_sha256, write_table
from tests.helpers.encoding import encode
from tests.helpers.paths import PROJECT
from tests.helpers.videos import moving

IDS = [f"p{number % 3}--v{number}" for number in range(8)]
SEQUENCES = 10
"""Crops of each video."""


def project(folder, **run):
    """Make a folder to run the stage in: the parameters, downloaded videos, and their tables.

    Args:
        folder: folder to make.
        run: values of the section `run` of params.yaml.
    """
    (folder / "videos").mkdir(parents=True)
    yaml = YAML()
    params = yaml.load(PROJECT / "profiles/sample.yaml")
    params["crop"].update({"min_size": 64, "max_frames": 20, "min_frames": 10})
    params["run"].update(run)
    yaml.dump(params, folder / "params.yaml")
    frames = [*moving(10 * SEQUENCES, (150, 250)), *moving(10 * SEQUENCES, (250, 150))]
    content = encode("mp4", frames, preset="ultrafast")
    index, download = [], []
    for name in IDS:
        path = Path("videos", f"{name}.mp4")
        (folder / path).write_bytes(content)
        row: Row = {"clip_id": name, "video_id": name, "person_id": name[:2], "url": path.as_posix()}
        index.append(row | {"start_s": 0.0, "split": "test" if name == IDS[-1] else "train"})
        result = {"path": path.as_posix(), "sha256": file_sha256(folder / path), "attempts": 1}
        download.append({"clip_id": name, "status": "ok", "reason": "none"} | result)
    write_table(index, INDEX, folder / "index.parquet")
    write_table(download, DOWNLOAD, folder / "download.parquet")
    return folder


def start(folder, api=""):
    """Start the stage, with the address of a Prefect API if there is one."""
    paths = ("index.parquet", "download.parquet", "crops", "crops.parquet", "crop.json")
    return subprocess.Popen(
        [sys.executable, "-m", "stages.crop", *paths],
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": str(PROJECT), "PREFECT_API_URL": api, "PREFECT_HOME": str(folder / "home")},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished_files(folder):
    """Return the modification time of each file of the finished videos."""
    return {
        path: path.stat().st_mtime_ns
        for fragment in folder.glob(f"*/{FRAGMENT_NAME}")
        for path in fragment.parent.iterdir()
    }
