"""`python -m flows.supervise COMMAND...`: a command that does not outlive whoever started it.

The starter holds the other end of this process's standard input. When that closes, by SIGKILL too, the
command and all its children are asked to stop (SIGINT, at which a training saves a checkpoint) and after a
while made to. Only the standard library: it starts in no time and is there before anything can go wrong.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

GRACE_S = 60.0
"""From being asked to stop to being made to."""


def main() -> int:
    """Run the command and give its exit code, as a shell does: 128 and the signal's number for a signal."""
    # The terminal's Ctrl-C goes to the starter, which says in its own time that it is over.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    command = subprocess.Popen(
        sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=restore_signals
    )
    threading.Thread(target=stop_when_orphaned, args=(command.pid,), daemon=True).start()
    code = command.wait()
    signal_group(command.pid, signal.SIGKILL)  # what a command that was killed has left behind
    return code if code >= 0 else 128 - code


def restore_signals() -> None:
    """In the child: undo what it would inherit, for a Python that begins with SIGINT ignored keeps it so."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def stop_when_orphaned(group: int) -> None:
    """Wait until the starter is gone, or closes its end, and stop the group of processes."""
    # Not by sys.stdin: the lock of its buffer, held here, would break this process's exit.
    while os.read(0, 1):
        pass
    signal_group(group, signal.SIGINT)
    time.sleep(GRACE_S)
    signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: int) -> None:
    """Send a signal to a group of processes, if there still is one."""
    with suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    raise SystemExit(main())
