"""Calling DVC, which stays the truth about what is out of date."""

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
"""Which process reads or writes which file, as JSON."""
RWLOCK_GUARD = Path(".dvc/tmp/rwlock.lock")
LOCK = Path("dvc.lock")
LOCK_GUARD = Path(".dvc/tmp/lock")
LOCK_BACKUP = Path(".faceanim/dvc.lock")
"""The last whole one that was seen."""


def repair_dvc_state() -> None:
    """Put right what a kill in the middle of DVC's writing has left.

    Raises:
        FaceanimError: dvc.lock is cut short, and no whole one was seen before.
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
    """Hold the lock that DVC holds while it writes: somebody's `dvc repro` may be at it just now."""
    guard.parent.mkdir(parents=True, exist_ok=True)
    with guard.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def restore_lock_file() -> None:
    """Put the last whole dvc.lock back.

    Raises:
        FaceanimError: none was seen.
    """
    if not LOCK_BACKUP.exists():
        raise FaceanimError(
            f"{LOCK} was cut short by a kill: restore it (`git checkout {LOCK}`) or remove it"
        )
    with atomic_path(LOCK) as temporary:
        temporary.write_bytes(LOCK_BACKUP.read_bytes())
    print(f"{LOCK} was cut short by a kill; it is again as it was before", file=sys.stderr)


def back_up_lock_file() -> bool:
    """Keep a copy of dvc.lock, unless it is not whole; returns whether it is."""
    if not is_loadable(LOCK, YAML(typ="safe", pure=True).load):
        return False
    with atomic_path(LOCK_BACKUP) as temporary:
        temporary.write_bytes(LOCK.read_bytes())
    return True


def is_loadable(path: Path, load: Callable[[str], Any]) -> bool:
    """Whether a file is there and all of it was written: it can be loaded, and is not empty."""
    try:
        return load(path.read_text(encoding="utf-8")) is not None
    except (FileNotFoundError, ValueError, YAMLError):
        return False


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml.

    Attributes:
        name: its.
        needs: the stages whose outputs it reads.
    """

    name: str
    needs: tuple[str, ...]


def read_stages(dvc_yaml: Path = Path("dvc.yaml")) -> list[Stage]:
    """The pipeline's stages, each after those it needs.

    Raises:
        FaceanimError: there is no dvc.yaml here.
    """
    if not dvc_yaml.exists():
        raise FaceanimError(f"{dvc_yaml} is missing; run this in the project's folder")
    stages = YAML(typ="safe", pure=True).load(dvc_yaml.read_text(encoding="utf-8"))["stages"]
    made_by = {out: name for name, stage in stages.items() for out in list_outputs(stage)}
    needs = {
        name: tuple(
            dict.fromkeys(
                made_by[out]
                for dep in list_paths(stage, "deps")
                for out in made_by
                if paths_overlap(dep, out)
            )
        )
        for name, stage in stages.items()
    }
    return [Stage(name, needs[name]) for name in TopologicalSorter(needs).static_order()]


def list_outputs(stage: Mapping[str, Any]) -> list[str]:
    """The paths that a stage writes."""
    return [path for kind in ("outs", "metrics", "plots") for path in list_paths(stage, kind)]


def list_paths(stage: Mapping[str, Any], kind: str) -> list[str]:
    """The paths in one of a stage's lists, whose entries may have options."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in stage.get(kind, [])]


def paths_overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies in the other."""
    a, b = PurePosixPath(one), PurePosixPath(other)
    return a == b or a in b.parents or b in a.parents


def find_stale_stages(stages: Iterable[Stage], changed: Collection[str]) -> list[str]:
    """The stages that have changed, and in order those that need them, which will run if outputs differ."""
    found: list[str] = []
    for stage in stages:
        if stage.name in changed or any(name in found for name in stage.needs):
            found.append(stage.name)
    return found


def select_stages(stages: list[Stage], targets: Collection[str]) -> list[Stage]:
    """The targets and all that they need, in order; without targets, everything.

    Raises:
        FaceanimError: there is no such stage.
    """
    names = [stage.name for stage in stages]
    for target in targets:
        if target not in names:
            raise FaceanimError(f"no stage is called {target!r}; there are {', '.join(names)}")
    wanted = set(targets or names)
    for stage in reversed(stages):
        if stage.name in wanted:
            wanted.update(stage.needs)
    return [stage for stage in stages if stage.name in wanted]


ERROR_PREFIX = "error: "
"""How a stage begins the line that says what is wrong."""
BUSY_MESSAGE = "Unable to acquire lock"
"""What DVC says while another of its processes, a sibling stage's perhaps, writes down what it has made."""


def build_environment() -> dict[str, str]:
    """The present one, in which `python` is this Python, whether or not its environment is activated."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path}


def run_python(*arguments: str) -> None:
    """Run a command of this environment's Python, such as `-m dvc repro`; its output goes to this process's.

    Raises:
        FaceanimError: it failed; what it printed says why.
    """
    done = subprocess.run([sys.executable, *arguments], check=False, env=build_environment())
    if done.returncode:
        raise FaceanimError(
            f"`{' '.join(arguments)}` failed (exit code {done.returncode}); its lines above say why"
        )


def repro(*arguments: str) -> None:
    """`dvc repro` with these arguments, after a kill too; see `call`."""
    repair_dvc_state()
    run_python("-m", "dvc", "repro", *arguments)


def changed_stages() -> set[str]:
    """The stages that DVC finds out of date by themselves; those after them may follow.

    Raises:
        FaceanimError: DVC cannot tell.
    """
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    done = subprocess.run(command, check=False, env=build_environment(), capture_output=True, text=True)
    if done.returncode:
        raise parse_failure(done.stderr.splitlines(), done.returncode)
    return set(json.loads(done.stdout))


class SupervisedProcesses:
    """Commands that run until they end, `stop` is called, or this process is gone by whatever cause."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self.stopped = False

    def repro(self, *arguments: str, on_line: Callable[[str], None], variables: Mapping[str, str]) -> None:
        """`dvc repro` with these arguments, each line of what it prints given to `on_line`.

        Raises:
            FaceanimError: it failed, or was stopped; a TemporaryError if the stage says that this may pass.
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
            raise FaceanimError("stopped; run it again, and it goes on from where it was")
        if code:
            raise parse_failure(lines, code)

    def _start(self, command: list[str], variables: Mapping[str, str]) -> subprocess.Popen[str]:
        with self._lock:
            if self.stopped:
                raise FaceanimError("stopped before it began")
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
        """Stop what runs, and let nothing begin; returns at once."""
        with self._lock:
            self.stopped = True
            for process in self._running:
                assert process.stdin is not None
                process.stdin.close()


def parse_failure(lines: list[str], code: int) -> FaceanimError:
    """What the lines of a failed command of DVC say: the stage's own word where there is one, else DVC's."""
    said = [line for line in lines if line.lower().startswith(ERROR_PREFIX)]
    own = [line.removeprefix(ERROR_PREFIX) for line in said if line.startswith(ERROR_PREFIX)]
    text = own[-1] if own else said[-1].partition(": ")[2] if said else f"killed (exit code {code})"
    may_pass = any(line.endswith(f"exited with {os.EX_TEMPFAIL}") or BUSY_MESSAGE in line for line in said)
    return TemporaryError(text) if may_pass else FaceanimError(text)


def git_revision() -> str:
    """The commit of the working tree, with `+changes` when tracked files differ from it; or `none`."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "none"
