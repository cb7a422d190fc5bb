"""What a kill in the middle of DVC's writing leaves."""

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
    """The dvc.lock of a pipeline of one stage that was run, in the present folder."""
    monkeypatch.chdir(tmp_path)
    command = f"{sys.executable} -c \"open('made', 'a').write('x')\""
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"make": {"cmd": command, "outs": ["made"]}}}))
    run_python("-m", "dvc", "init", "--quiet", "--no-scm")
    repro()
    return LOCK.read_text()


def test_a_list_of_what_is_at_work_is_dropped(whole):
    RWLOCK.write_text('{"write": {')
    with pytest.raises(FaceanimError):  # DVC would never go on by itself
        run_python("-m", "dvc", "repro")
    repro()
    assert not any(json.loads(RWLOCK.read_text()).values())


@pytest.mark.parametrize("length", [0, 10])
def test_dvc_lock_is_put_back(whole, length, capsys):
    repair_dvc_state()
    LOCK.write_text(whole[:length])
    with pytest.raises(FaceanimError):
        run_python("-m", "dvc", "repro")
    repro()
    assert "truncated" in capsys.readouterr().err
    assert LOCK.read_text() == whole


def test_without_a_copy_a_line_says_what_to_do(whole):
    shutil.rmtree(LOCK_BACKUP.parent, ignore_errors=True)
    LOCK.write_text("")
    with pytest.raises(FaceanimError, match="git checkout"):
        repro()


def test_what_somebody_is_writing_is_left_alone(whole):
    repair_dvc_state()
    with ThreadPoolExecutor() as threads, LOCK_GUARD.open("a") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        LOCK.write_text("")
        mending = threads.submit(repair_dvc_state)
        time.sleep(0.5)
        LOCK.write_text(f"{whole}# by somebody else\n")
        fcntl.flock(theirs, fcntl.LOCK_UN)
        mending.result()
    assert LOCK.read_text().endswith("somebody else\n")
