"""A disk that is full or may not be written ends a stage with one line, and costs nothing that is made."""

import subprocess

import pytest

from tests.helpers.crop_folders import finished_files, project, start
from tests.helpers.videos import contents


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a file system of a few megabytes on a folder, and gives a function that mounts it again."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this user may not mount a tmpfs")
        return disk

    yield mount
    subprocess.run(["umount", str(disk)], check=False, capture_output=True)


def ended(stage):
    """The last line that a stage said, and its exit code."""
    said = stage.communicate(timeout=120)[1]
    assert "Traceback" not in said, said
    return said.strip().splitlines()[-1], stage.returncode


@pytest.mark.parametrize("served", [False, True])
def test_a_full_disk_costs_nothing_that_is_made(request, small_disk, tmp_path, served):
    api = request.getfixturevalue("prefect_api") if served else ""
    whole = project(tmp_path / "whole")
    assert start(whole).wait(120) == 0
    size_kb = sum(path.stat().st_size for path in (whole / "crops").rglob("*")) // 1024
    disk = small_disk(f"size={size_kb // 2}k")
    folder = project(tmp_path / "full", shard_size=1)
    (folder / "crops").symlink_to(disk)
    line, code = ended(start(folder, api))
    assert code == 1
    assert "no space left on device; finished work is kept: fix this and run the command again" in line
    finished = finished_files(folder / "crops")
    assert finished
    small_disk(f"remount,size={size_kb * 3}k")
    assert ended(start(folder, api))[1] == 0
    assert finished_files(folder / "crops").items() >= finished.items()
    assert contents(folder / "crops") == contents(whole / "crops")


def test_a_folder_that_may_not_be_written_is_one_line(small_disk, tmp_path):
    disk = small_disk("size=64m,ro")
    folder = project(tmp_path / "locked")
    (folder / "crops").symlink_to(disk)
    line, code = ended(start(folder))
    assert code == 1
    assert "read-only file system" in line
    small_disk("remount,rw")
    assert ended(start(folder)) == ("crop: 8/8", 0)
