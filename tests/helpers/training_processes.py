"""Trainings in processes of their own. They are forked: to start Python anew takes longer than to train."""

import multiprocessing
import os
import socket
import traceback

from faceanim.errors import FaceanimError
from faceanim.training import loop
from tests.helpers.training_runs import train

FORK = multiprocessing.get_context("fork")
PATIENCE_S = 120


class Stepwise:
    """A training that waits after each step for leave to go on."""

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

        loop.count_workers = lambda wanted, processes: wanted  # whatever the cores
        try:
            train(config, data, folder, on_step=on_step, workers=self.workers)
        except FaceanimError as error:
            pipe.send(str(error))
            raise SystemExit(1) from None

    def told(self):
        """The next step, once it is made, or the error that ended the run."""
        assert self.pipe.poll(PATIENCE_S)
        return self.pipe.recv()

    def go_on(self):
        self.pipe.send(None)

    def signal(self, number):
        os.kill(self.process.pid, number)

    def end(self):
        """The exit code."""
        self.process.join(PATIENCE_S)
        return self.process.exitcode


def in_processes(count, function, *arguments):
    """Call a function in several processes at once, as torchrun would start them."""
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
        process.join(PATIENCE_S)
    assert [process.exitcode for process in processes] == [0] * count
