"""Two training runs never share a GPU by accident."""

import signal
import sys

import pytest

from faceanim.training.engine import exclusive_device
from tests.helpers.training_processes import FORK, TIMEOUT_S


class Holder:
    """A child process that holds a device until it is killed or its pipe is closed."""

    def __init__(self, device, folder):
        self.pipe, theirs = FORK.Pipe()
        self.process = FORK.Process(target=self._run, args=(theirs, device, folder), daemon=True)
        self.process.start()
        theirs.close()

    def _run(self, pipe, device, folder):
        # With this end of the pipe open here too, the other one would never see it closed.
        self.pipe.close()
        sys.stderr = self
        self.write = pipe.send
        with exclusive_device(device, folder):
            pipe.send("acquired")
            with pytest.raises(EOFError):
                pipe.recv()

    def flush(self):
        """Do nothing, because each notice is sent at once."""

    def receive(self):
        """Wait for the next notice."""
        assert self.pipe.poll(TIMEOUT_S)
        return self.pipe.recv()

    def kill(self):
        self.process.kill()
        self.process.join(TIMEOUT_S)
        assert self.process.exitcode == -signal.SIGKILL


def test_a_second_training_waits_and_a_killed_one_frees_its_gpu(tmp_path):
    first = Holder("gpu-a", tmp_path)
    assert first.receive() == "acquired"
    with exclusive_device("gpu-b", tmp_path):
        second = Holder("gpu-a", tmp_path)
        assert "waiting for another training on gpu-a" in second.receive()
        assert second.receive() == "\n"
        assert not second.pipe.poll(0.5)
        first.kill()
        assert second.receive() == "acquired"
        second.pipe.close()
        second.process.join(TIMEOUT_S)
        assert second.process.exitcode == 0
