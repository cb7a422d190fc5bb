"""Training runs in child processes, forked because starting Python takes longer than the training."""

import multiprocessing
import os
import socket
import traceback

from faceanim.errors import FaceanimError
from faceanim.training import loop
from tests.helpers.training_runs import train

FORK = multiprocessing.get_context("fork")
TIMEOUT_S = 120


class Stepwise:
    """A training run that waits for permission after each step."""

    def __init__(self, config, data, folder, workers=0):
        self.workers = workers
        self.pipe, theirs = FORK.Pipe()
        self.process = FORK.Process(target=self._run, args=(theirs, config, data, folder))
        self.process.start()
        theirs.close()

    def _run(self, pipe, config, data, folder):
        def on_step(report):
            pipe.send(report.step)
            pipe.recv()

        # As many workers as requested, whatever the number of cores.
        loop.count_workers = lambda requested, processes: requested  # type: ignore[attr-defined]
        try:
            train(config, data, folder, on_step=on_step, workers=self.workers)
        except FaceanimError as error:
            pipe.send(str(error))
            raise SystemExit(1) from None

    def receive(self):
        """Wait for the number of the next finished step, or the message of the error that ended the run."""
        assert self.pipe.poll(TIMEOUT_S)
        return self.pipe.recv()

    def go_on(self):
        self.pipe.send(None)

    def signal(self, number):
        os.kill(self.process.pid, number)

    def end(self):
        """Wait for the end and return the exit code."""
        self.process.join(TIMEOUT_S)
        return self.process.exitcode


def in_processes(count, function, *arguments):
    """Call a function in several processes at once, with the environment that torchrun sets."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "TORCHELASTIC_RUN_ID": "test",
        "GROUP_WORLD_SIZE": "1",
        "LOCAL_WORLD_SIZE": str(count),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }

    def run(rank):
        os.environ.update(shared, RANK=str(rank), LOCAL_RANK=str(rank), GROUP_RANK="0")
        try:
            function(*arguments)
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    processes = [FORK.Process(target=run, args=(rank,)) for rank in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(TIMEOUT_S)
    assert [process.exitcode for process in processes] == [0] * count
