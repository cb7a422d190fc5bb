"""Calling DVC, which stays the truth about what is out of date."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from faceanim.errors import FaceanimError, TemporaryError
from flows.mend import mend

ERROR = "error: "
"""How a stage begins the line that says what is wrong."""
BUSY = "Unable to acquire lock"
"""What DVC says while another of its processes, a sibling stage's perhaps, writes down what it has made."""


def environment() -> dict[str, str]:
    """The present one, in which `python` is this Python, whether or not its environment is activated."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path}


def call(*arguments: str) -> None:
    """Run a command of this environment's Python, such as `-m dvc repro`; its output goes to this process's.

    Raises:
        FaceanimError: it failed; what it printed says why.
    """
    done = subprocess.run([sys.executable, *arguments], check=False, env=environment())
    if done.returncode:
        raise FaceanimError(
            f"`{' '.join(arguments)}` failed (exit code {done.returncode}); its lines above say why"
        )


def repro(*arguments: str) -> None:
    """`dvc repro` with these arguments, after a kill too; see `call`."""
    mend()
    call("-m", "dvc", "repro", *arguments)


def changed_stages() -> set[str]:
    """The stages that DVC finds out of date by themselves; those after them may follow.

    Raises:
        FaceanimError: DVC cannot tell.
    """
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    done = subprocess.run(command, check=False, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise failure(done.stderr.splitlines(), done.returncode)
    return set(json.loads(done.stdout))


class Leashed:
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
        with self._started(command, {**environment(), "PYTHONUNBUFFERED": "1", **variables}) as process:
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
            raise failure(lines, code)

    def _started(self, command: list[str], variables: Mapping[str, str]) -> subprocess.Popen[str]:
        with self._lock:
            if self.stopped:
                raise FaceanimError("stopped before it began")
            process = subprocess.Popen(
                [sys.executable, "-m", "flows.leash", *command],
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


def failure(lines: list[str], code: int) -> FaceanimError:
    """What the lines of a failed command of DVC say: the stage's own word where there is one, else DVC's."""
    said = [line for line in lines if line.lower().startswith(ERROR)]
    own = [line.removeprefix(ERROR) for line in said if line.startswith(ERROR)]
    text = own[-1] if own else said[-1].partition(": ")[2] if said else f"killed (exit code {code})"
    may_pass = any(line.endswith(f"exited with {os.EX_TEMPFAIL}") or BUSY in line for line in said)
    return TemporaryError(text) if may_pass else FaceanimError(text)
