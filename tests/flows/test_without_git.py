"""A project without git, as a downloaded archive is, or unknown to the git repository around it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows.dvc import DVC_CONFIGS, allow_missing_git, git_revision, repro, run_git


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A pipeline of one stage in the current folder, in which DVC has not run yet."""
    if any((parent / ".git").exists() for parent in tmp_path.parents):
        pytest.skip("the temporary folder lies in a git repository")
    monkeypatch.chdir(tmp_path)
    command = f"{sys.executable} -c \"open('made', 'a').write('x')\""
    Path("dvc.yaml").write_text(json.dumps({"stages": {"make": {"cmd": command, "outs": ["made"]}}}))
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("[core]\n    autostage = false\n")
    return tmp_path


def test_dvc_runs_without_git(project, capsys):
    repro()
    assert Path("made").read_text() == "x"
    assert capsys.readouterr().err.count("no git repository: told DVC to work without one") == 1
    allow_missing_git()
    assert capsys.readouterr().err == ""
    assert "no_scm = true" in DVC_CONFIGS[1].read_text()


def commit(*files):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (["init", "-q"], ["add", *files], [*identity, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *command], check=True, capture_output=True)


def test_the_revision_is_that_of_the_project_only(project, monkeypatch):
    assert git_revision() == "none"
    (project / "around.txt").touch()
    commit("around.txt")
    allow_missing_git()
    assert not DVC_CONFIGS[1].exists()
    assert git_revision() == "none"
    commit("dvc.yaml")
    assert git_revision() == run_git("rev-parse", "HEAD")
    assert len(git_revision()) == 40
    (project / "dvc.yaml").write_text("{}")
    assert git_revision().endswith("+changes")
    monkeypatch.setenv("PATH", str(project))
    assert git_revision() == "none"
