"""Calls to DVC, which decides what is out of date: running stages, their order, and repair after a kill.

DVC writes dvc.lock and its rwlock file in place, and refuses to run if a kill has left one of them truncated.
"""

import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from faceanim.errors import FaceanimError, TemporaryError
from faceanim.tables import atomic_path

RWLOCK = Path(".dvc/tmp/rwlock")
"""JSON file of the processes that read or write each path."""
RWLOCK_GUARD = Path(".dvc/tmp/rwlock.lock")
LOCK = Path("dvc.lock")
LOCK_GUARD = Path(".dvc/tmp/lock")
LOCK_BACKUP = Path(".faceanim/dvc.lock")
"""Copy of the last complete dvc.lock."""
DVC_CONFIGS = (Path(".dvc/config"), Path(".dvc/config.local"))
NO_SCM = "no_scm"
"""Name of DVC's option to work without a version control system."""
ERROR_PREFIX = "error: "
"""Start of the line in which a stage reports its error."""
BUSY_MESSAGE = "Unable to acquire lock"
"""DVC's message if another DVC process, such as a sibling stage's, is recording its outputs."""


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml.

    Attributes:
        name: name of the stage.
        needs: names of the stages whose outputs it reads.
    """

    name: str
    needs: tuple[str, ...]


class SupervisedProcesses:
    """Commands that end at the latest when `stop` is called or this process ends, for whatever reason."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self.stopped = False

    def repro(self, *arguments: str, on_line: Callable[[str], None], variables: Mapping[str, str]) -> None:
        """Run `dvc repro` with arguments, passing each line of its output to `on_line`.

        Raises:
            FaceanimError: the command failed or was stopped; a TemporaryError if the stage reports a
                transient error.
        """
        command = [sys.executable, "-m", "dvc", "repro", *arguments]
        lines = []
        with self._start(command, {**build_environment(), "PYTHONUNBUFFERED": "1", **variables}) as process:
            try:
                assert process.stdout is not None
                for line in filter(None, map(str.rstrip, process.stdout)):
                    lines.append(line)
                    on_line(line)
                code = process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)
        if self.stopped:
            raise FaceanimError("stopped; run it again to resume")
        if code:
            raise parse_failure(lines, code)

    def _start(self, command: list[str], variables: Mapping[str, str]) -> subprocess.Popen[str]:
        with self._lock:
            if self.stopped:
                raise FaceanimError("stopped before it started")
            process = subprocess.Popen(
                [sys.executable, "-m", "flows.supervise", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=variables,
                text=True,
                errors="replace",
            )
            self._running.add(process)
        return process

    def stop(self) -> None:
        """Stop the running commands and refuse to start others; returns immediately."""
        with self._lock:
            self.stopped = True
            for process in self._running:
                assert process.stdin is not None
                process.stdin.close()


def repro(*arguments: str) -> None:
    """Prepare DVC if necessary, then run `dvc repro` with arguments; see `run_python`."""
    prepare_dvc()
    run_python("-m", "dvc", "repro", *arguments)


def run_python(*arguments: str) -> None:
    """Run a command of this environment's Python, such as `-m dvc repro`; it inherits the standard streams.

    Raises:
        FaceanimError: the command failed; its own output gives the reason.
    """
    completed = subprocess.run([sys.executable, *arguments], check=False, env=build_environment())
    if completed.returncode:
        raise FaceanimError(
            f"`{' '.join(arguments)}` failed (exit code {completed.returncode}); see its output above"
        )


def build_environment() -> dict[str, str]:
    """Return the current environment, in which `python` is this Python even if its venv is not activated."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path}


def changed_stages() -> set[str]:
    """Return the stages that DVC reports as out of date; stages that depend on them may follow.

    Raises:
        FaceanimError: `dvc status` failed.
    """
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    completed = subprocess.run(command, check=False, env=build_environment(), capture_output=True, text=True)
    if completed.returncode:
        raise parse_failure(completed.stderr.splitlines(), completed.returncode)
    return set(json.loads(completed.stdout))


def parse_failure(lines: list[str], code: int) -> FaceanimError:
    """Build the error of a failed DVC command from its output: the stage's own message if any, else DVC's."""
    reported = [line for line in lines if line.lower().startswith(ERROR_PREFIX)]
    own = [line.removeprefix(ERROR_PREFIX) for line in reported if line.startswith(ERROR_PREFIX)]
    text = own[-1] if own else reported[-1].partition(": ")[2] if reported else f"killed (exit code {code})"
    transient = any(
        line.endswith(f"exited with {os.EX_TEMPFAIL}") or BUSY_MESSAGE in line for line in reported
    )
    return TemporaryError(text) if transient else FaceanimError(text)


def git_revision() -> str:
    """Return the commit of the working tree, with `+changes` if tracked files are modified; else `none`.

    A project that lies unknown to git in a folder of another repository does not have that one's commit.
    """
    if not run_git("ls-files", "dvc.yaml"):
        return "none"
    return run_git("describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes") or "none"


def run_git(*arguments: str) -> str:
    """Return what git prints; empty if it fails, as without a repository, or is not installed."""
    try:
        completed = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return completed.stdout.strip() if completed.returncode == 0 else ""


def allow_missing_git() -> None:
    """Configure DVC to work without a git repository, if the project lies in none, as after a download.

    Raises:
        FaceanimError: DVC refused.
    """
    folder = Path.cwd()
    has_git = any((parent / ".git").exists() for parent in (folder, *folder.parents))
    if has_git or not Path(".dvc").is_dir():
        return
    if any(path.exists() and NO_SCM in path.read_text(encoding="utf-8") for path in DVC_CONFIGS):
        return
    run_python("-m", "dvc", "config", "--local", f"core.{NO_SCM}", "true")
    print(
        "no git repository: told DVC to work without one (.dvc/config.local); after a `git init`, run "
        f"`dvc config --local --unset core.{NO_SCM}`",
        file=sys.stderr,
    )


def read_stages(dvc_yaml: Path = Path("dvc.yaml")) -> list[Stage]:
    """Read the stages of dvc.yaml in topological order.

    Raises:
        FaceanimError: dvc.yaml is missing.
    """
    if not dvc_yaml.exists():
        raise FaceanimError(f"cannot find {dvc_yaml}; run this command in the project's folder")
    stages = YAML(typ="safe", pure=True).load(dvc_yaml.read_text(encoding="utf-8"))["stages"]
    producers = {out: name for name, stage in stages.items() for out in list_outputs(stage)}
    needs = {
        name: tuple(
            dict.fromkeys(
                producers[out]
                for dep in list_paths(stage, "deps")
                for out in producers
                if paths_overlap(dep, out)
            )
        )
        for name, stage in stages.items()
    }
    return [Stage(name, needs[name]) for name in TopologicalSorter(needs).static_order()]


def list_outputs(stage: Mapping[str, Any]) -> list[str]:
    """List the paths that a stage writes."""
    return [path for kind in ("outs", "metrics", "plots") for path in list_paths(stage, kind)]


def list_paths(stage: Mapping[str, Any], kind: str) -> list[str]:
    """List the paths of a section of a stage, whose entries may have options."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in stage.get(kind, [])]


def paths_overlap(a: str, b: str) -> bool:
    """Check whether two paths are equal or one contains the other."""
    path_a, path_b = PurePosixPath(a), PurePosixPath(b)
    return path_a == path_b or path_a in path_b.parents or path_b in path_a.parents


def find_stale_stages(stages: Iterable[Stage], changed: Collection[str]) -> list[str]:
    """List the changed stages and those downstream of them, which run if outputs differ, in order."""
    stale: list[str] = []
    for stage in stages:
        if stage.name in changed or any(name in stale for name in stage.needs):
            stale.append(stage.name)
    return stale


def select_stages(stages: list[Stage], targets: Collection[str]) -> list[Stage]:
    """Select the targets and all stages that they need, in order; without targets, all stages.

    Raises:
        FaceanimError: a target is not a stage.
    """
    names = [stage.name for stage in stages]
    for target in targets:
        if target not in names:
            raise FaceanimError(f"unknown stage {target!r}; the stages are {', '.join(names)}")
    selected = set(targets or names)
    for stage in reversed(stages):
        if stage.name in selected:
            selected.update(stage.needs)
    return [stage for stage in stages if stage.name in selected]


def prepare_dvc() -> None:
    """Make DVC run here: without git if there is none, and with state files that it can read.

    Raises:
        FaceanimError: dvc.lock is truncated and has no backup, or DVC refused to be configured.
    """
    allow_missing_git()
    repair_dvc_state()


def repair_dvc_state() -> None:
    """Repair the files that DVC leaves truncated if it is killed while writing them.

    Raises:
        FaceanimError: dvc.lock is truncated and has no backup.
    """
    if RWLOCK.exists() and not is_loadable(RWLOCK, json.loads):
        with hold_guard(RWLOCK_GUARD):
            if not is_loadable(RWLOCK, json.loads):
                RWLOCK.unlink()
    if LOCK.exists() and not back_up_lock_file():
        with hold_guard(LOCK_GUARD):
            if not back_up_lock_file():
                restore_lock_file()


@contextmanager
def hold_guard(guard: Path) -> Iterator[None]:
    """Hold the lock that DVC holds while it writes, because another `dvc repro` may be writing right now."""
    guard.parent.mkdir(parents=True, exist_ok=True)
    with guard.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def restore_lock_file() -> None:
    """Restore dvc.lock from its backup.

    Raises:
        FaceanimError: there is no backup.
    """
    if not LOCK_BACKUP.exists():
        raise FaceanimError(
            f"{LOCK} was truncated by a kill; restore it (`git checkout {LOCK}`) or remove it"
        )
    with atomic_path(LOCK) as temporary:
        temporary.write_bytes(LOCK_BACKUP.read_bytes())
    print(f"{LOCK} was truncated by a kill; restored it from the last complete copy", file=sys.stderr)


def back_up_lock_file() -> bool:
    """Back up dvc.lock if it is complete; returns whether it is."""
    if not is_loadable(LOCK, YAML(typ="safe", pure=True).load):
        return False
    with atomic_path(LOCK_BACKUP) as temporary:
        temporary.write_bytes(LOCK.read_bytes())
    return True


def is_loadable(path: Path, load: Callable[[str], Any]) -> bool:
    """Check whether a file exists and was written completely: `load` accepts it, and it is not empty."""
    try:
        return load(path.read_text(encoding="utf-8")) is not None
    except (FileNotFoundError, ValueError, YAMLError):
        return False
