"""A disk that is full or read-only ends a stage with one line, and no finished work is lost."""

import subprocess

import pytest

from tests.helpers.crop_folders import finished_files, project, start
from tests.helpers.videos import contents

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture
def small_disk(tmp_path):
    """Function that mounts a file system of a few megabytes on a folder, or mounts it again."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a tmpfs is not permitted")
        return disk

    yield mount
    subprocess.run(["umount", str(disk)], check=False, capture_output=True)


def ended(stage):
    """Return the last line that a stage printed, and its exit code."""
    output = stage.communicate(timeout=120)[1]
    assert "Traceback" not in output, output
    return output.strip().splitlines()[-1], stage.returncode


@pytest.mark.parametrize("served", [False, True])
def test_a_full_disk_costs_no_finished_work(request, small_disk, undisturbed, tmp_path, served):
    api = request.getfixturevalue("prefect_api") if served else ""
    size_kb = sum(path.stat().st_size for path in (undisturbed / "crops").rglob("*")) // 1024
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
    assert contents(folder / "crops") == contents(undisturbed / "crops")


def test_a_read_only_folder_is_reported_in_one_line(small_disk, tmp_path):
    disk = small_disk("size=64m,ro")
    folder = project(tmp_path / "locked")
    (folder / "crops").symlink_to(disk)
    line, code = ended(start(folder))
    assert code == 1
    assert "read-only file system" in line
    small_disk("remount,rw")
    assert ended(start(folder)) == ("crop: 8/8", 0)
