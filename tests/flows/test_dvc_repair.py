"""Files that DVC leaves truncated if it is killed while writing them."""

import fcntl
import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from faceanim.errors import FaceanimError
from flows.dvc import LOCK, LOCK_BACKUP, LOCK_GUARD, RWLOCK, repair_dvc_state, repro, run_python


@pytest.fixture
def whole(tmp_path, monkeypatch):
    """Content of dvc.lock after a pipeline of one stage has run, in the current folder."""
    monkeypatch.chdir(tmp_path)
    command = f"{sys.executable} -c \"open('made', 'a').write('x')\""
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"make": {"cmd": command, "outs": ["made"]}}}))
    run_python("-m", "dvc", "init", "--quiet", "--no-scm")
    repro()
    return LOCK.read_text()


def test_a_truncated_rwlock_is_removed(whole):
    RWLOCK.write_text('{"write": {')
    with pytest.raises(FaceanimError):  # DVC does not recover by itself
        run_python("-m", "dvc", "repro")
    repro()
    assert not any(json.loads(RWLOCK.read_text()).values())


@pytest.mark.parametrize("length", [0, 10])
def test_dvc_lock_is_restored(whole, length, capsys):
    repair_dvc_state()
    LOCK.write_text(whole[:length])
    with pytest.raises(FaceanimError):
        run_python("-m", "dvc", "repro")
    repro()
    assert "truncated" in capsys.readouterr().err
    assert LOCK.read_text() == whole


def test_without_a_backup_the_message_gives_the_command(whole):
    shutil.rmtree(LOCK_BACKUP.parent, ignore_errors=True)
    LOCK.write_text("")
    with pytest.raises(FaceanimError, match="git checkout"):
        repro()


def test_a_file_that_another_process_writes_is_left_alone(whole):
    repair_dvc_state()
    with ThreadPoolExecutor() as threads, LOCK_GUARD.open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        LOCK.write_text("")
        repair = threads.submit(repair_dvc_state)
        time.sleep(0.5)
        LOCK.write_text(f"{whole}# by another process\n")
        fcntl.flock(guard, fcntl.LOCK_UN)
        repair.result()
    assert LOCK.read_text().endswith("another process\n")
