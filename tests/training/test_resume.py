"""Runs that are killed or stopped, or lose a checkpoint, resume with the result of an undisturbed run."""

import os
import random
import signal
import time

import psutil
import pytest

from tests.helpers.crops import write_crops
from tests.helpers.training_processes import Stepwise
from tests.helpers.training_runs import ANIMATION_RUN, SUPER_RESOLUTION_RUN, engine, train, written

pytestmark = pytest.mark.server

CONFIGS = {
    "animation": engine(
        ANIMATION_RUN.model_copy(update={"steps": 12, "batch_size": 4}),
        accumulate_grad_batches=2,
        clip_norm=1.0,
        ema_decay=0.8,
    ),
    "super_resolution": SUPER_RESOLUTION_RUN.model_copy(update={"steps": 12}),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_crops(tmp_path_factory.mktemp("crops"))


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    folders = {name: tmp_path_factory.mktemp(name) for name in CONFIGS}
    for name, folder in folders.items():
        train(CONFIGS[name], data, folder)
    return {name: written(folder) for name, folder in folders.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_a_process_killed_three_times_ends_like_an_undisturbed_one(undisturbed, data, tmp_path, name):
    chance = random.Random(name)
    for _ in range(3):
        killed = Stepwise(CONFIGS[name], data, tmp_path)
        for _ in range(chance.randint(1, 3)):
            killed.receive()
            killed.go_on()
        time.sleep(chance.uniform(0, 0.1))  # to some moment of the next step
        killed.signal(signal.SIGKILL)
        assert killed.end() == -signal.SIGKILL
    first = []
    train(CONFIGS[name], data, tmp_path, on_step=lambda report: first.append(report.step))
    assert 1 < first[0] < 12  # the kills came between the first step and the last
    assert written(tmp_path) == undisturbed[name]
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_lets_the_step_end_and_saves(undisturbed, data, tmp_path, number):
    stopped = Stepwise(CONFIGS["super_resolution"], data, tmp_path, workers=2)
    for step in (1, 2, 3):
        assert stopped.receive() == step
        if step == 3:  # between two checkpoints
            workers = psutil.Process(stopped.process.pid).children()
            for process in (*workers, stopped.process):
                os.kill(process.pid, number)
        stopped.go_on()
    assert stopped.receive() == ("stopped at step 3; the checkpoint is saved, run the same command to resume")
    assert stopped.end() == 1
    assert len(workers) == 2
    assert not any(worker.is_running() for worker in workers)
    first = []
    train(CONFIGS["super_resolution"], data, tmp_path, on_step=lambda report: first.append(report.step))
    assert first[0] == 4
    assert written(tmp_path) == undisturbed["super_resolution"]


def test_a_second_signal_ends_the_run_at_once(data, tmp_path):
    stopped = Stepwise(CONFIGS["super_resolution"], data, tmp_path)
    assert stopped.receive() == 1
    stopped.signal(signal.SIGTERM)
    while stopped.process.is_alive():  # signals that arrive together count as one
        stopped.signal(signal.SIGTERM)
        time.sleep(0.05)
    assert stopped.end() == -signal.SIGTERM


def test_the_signal_handlers_are_restored(data, tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    train(SUPER_RESOLUTION_RUN, data, tmp_path)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("damage", ["cut off", "changed"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(undisturbed, data, tmp_path, capsys, damage):
    stopped = Stepwise(CONFIGS["super_resolution"], data, tmp_path)
    for _ in range(5):
        stopped.receive()
        stopped.go_on()
    stopped.receive()
    stopped.signal(signal.SIGKILL)
    stopped.end()
    older, newer = sorted((tmp_path / "checkpoints").rglob("*.pt"))
    content = bytearray(newer.read_bytes())
    if damage == "cut off":
        del content[len(content) // 2 :]
    else:
        middle = slice(len(content) // 2, len(content) // 2 + 256)  # longer than the padding between tensors
        content[middle] = bytes(255 - value for value in content[middle])
    newer.write_bytes(content)
    train(CONFIGS["super_resolution"], data, tmp_path)
    printed = capsys.readouterr().err
    assert f"the checkpoint {newer} is damaged" in printed
    assert f"resuming from step {int(older.stem[-9:])}\n" in printed
    assert written(tmp_path) == undisturbed["super_resolution"]
