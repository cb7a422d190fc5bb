"""Supervisor of a command that must not outlive its parent: `python -m flows.supervise COMMAND...`.

The parent holds the other end of this process's standard input. When that closes, even by SIGKILL of the
parent, the command and all its children receive SIGINT (on which a training saves a checkpoint) and, after a
grace period, SIGKILL. Only the standard library is imported, so that the supervisor starts quickly, before
anything can go wrong.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

GRACE_S = 60.0
"""Seconds between SIGINT and SIGKILL."""


def main() -> int:
    """Run the command and return its exit code as a shell does: 128 plus the number of a fatal signal."""
    # Ctrl-C in the terminal is handled by the parent, which closes standard input when it is done.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    command = subprocess.Popen(
        sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=restore_signals
    )
    threading.Thread(target=stop_when_orphaned, args=(command.pid,), daemon=True).start()
    code = command.wait()
    signal_group(command.pid, signal.SIGKILL)  # children that a killed command has left behind
    return code if code >= 0 else 128 - code


def restore_signals() -> None:
    """Restore the child's default signal handlers: a Python started with SIGINT ignored keeps ignoring it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def stop_when_orphaned(group: int) -> None:
    """Wait until the parent has ended or closed its end of the pipe, then stop the process group."""
    # Not through sys.stdin: holding its buffer's lock here would break the exit of this process.
    while os.read(0, 1):
        pass
    signal_group(group, signal.SIGINT)
    time.sleep(GRACE_S)
    signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group, if it still exists."""
    with suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    raise SystemExit(main())
