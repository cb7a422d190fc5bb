"""Logging and errors of the training loop."""

import re
import time

import pytest
import torch

from faceanim.datasets.frames import CropFrames
from faceanim.datasets.super_resolution import RestorationDataset
from faceanim.errors import FaceanimError
from faceanim.progress import NullLogger
from faceanim.training import loop, monitoring
from faceanim.training.animation import AnimationTrainer
from faceanim.training.loader import count_workers, load_batches
from faceanim.training.monitoring import LossJumps, ThroughputMeter
from faceanim.training.super_resolution import SuperResolutionTrainer
from faceanim.viz import MIN_KEYPOINT_SIDE
from tests.helpers.crops import write_crops
from tests.helpers.training_runs import ANIMATION_RUN, SUPER_RESOLUTION_RUN, engine, train, written


class Recorder(NullLogger):
    """Logger that stores what it receives."""

    run_id = "1"

    def __init__(self):
        self.rows, self.pictures, self.status = {}, {}, None

    def log_metrics(self, step, values):
        self.rows[step] = values

    def log_image(self, step, name, image):
        self.pictures[step] = image

    def close(self, status):
        self.status = status


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_crops(tmp_path_factory.mktemp("crops"))


def fail_at(monkeypatch, step, error):
    """Make a step of the super-resolution raise an error."""
    made, steps = SuperResolutionTrainer.step, []

    def fails(trainer, batch):
        steps.append(batch)
        if len(steps) == step:
            raise error
        return made(trainer, batch)

    monkeypatch.setattr(SuperResolutionTrainer, "step", fails)


@pytest.mark.parametrize(("config", "columns"), [(ANIMATION_RUN, 6), (SUPER_RESOLUTION_RUN, 3)])
def test_a_logger_gets_curves_and_pictures_and_changes_nothing(data, tmp_path, capsys, config, columns):
    recorder = Recorder()
    train(config, data, tmp_path / "plain")
    capsys.readouterr()
    train(engine(config, pictures_every=3), data, tmp_path / "logged", open_logger=lambda run_id: recorder)
    assert written(tmp_path / "logged") == written(tmp_path / "plain")
    assert list(recorder.rows) == [2, 4, 6]
    assert {"lr", "samples_per_s", "waiting_for_data"} < set(recorder.rows[6])
    side = MIN_KEYPOINT_SIDE if columns == 6 else 96
    assert {step: picture.shape for step, picture in recorder.pictures.items()} == dict.fromkeys(
        (3, 6), (2 * side, columns * side, 3)
    )
    assert recorder.status == "FINISHED"
    switched = r"SWATS switched to sgd at step 4, with the learned rate 0\.\d+\n"
    assert re.fullmatch(switched if columns == 6 else "", capsys.readouterr().err)


def test_a_resumed_run_continues_the_run_of_the_logger(data, tmp_path, monkeypatch):
    recorder, requested = Recorder(), []

    def open_logger(run_id):
        requested.append(run_id)
        return recorder

    with monkeypatch.context() as patch:
        fail_at(patch, 5, FaceanimError("gone"))
        with pytest.raises(FaceanimError, match="gone"):
            train(SUPER_RESOLUTION_RUN, data, tmp_path, open_logger=open_logger)
    assert recorder.status == "FAILED"
    train(SUPER_RESOLUTION_RUN, data, tmp_path, open_logger=open_logger)
    assert (requested, recorder.status) == ([None, "1"], "FINISHED")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        MemoryError(),
    ],
)
def test_the_error_of_out_of_memory_says_what_to_lower(data, tmp_path, monkeypatch, error):
    fail_at(monkeypatch, 4, error)
    with pytest.raises(FaceanimError) as caught:
        train(SUPER_RESOLUTION_RUN, data, tmp_path)
    assert str(caught.value) == (
        "step 4: out of memory; lower batch_size or the model's sizes, raise "
        "engine.accumulate_grad_batches or set engine.precision to bf16; the checkpoint of step 2 is kept"
    )


def test_other_errors_are_not_changed(data, tmp_path, monkeypatch):
    fail_at(monkeypatch, 1, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        train(SUPER_RESOLUTION_RUN, data, tmp_path)


def test_a_worker_that_is_killed_is_one_line(data, tmp_path, monkeypatch):
    fail_at(monkeypatch, 1, RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."))
    with pytest.raises(FaceanimError, match=r"lower run\.workers; no checkpoint was saved yet"):
        train(SUPER_RESOLUTION_RUN, data, tmp_path)


def test_workers_change_nothing(data, tmp_path, monkeypatch):
    train(SUPER_RESOLUTION_RUN, data, tmp_path / "none")
    monkeypatch.setattr(loop, "count_workers", lambda requested, processes: requested)
    train(SUPER_RESOLUTION_RUN, data, tmp_path / "two", workers=2)
    assert written(tmp_path / "none") == written(tmp_path / "two")


def test_a_missing_crop_is_one_line_also_from_a_worker(tmp_path):
    frames = CropFrames(write_crops(tmp_path)[0], "train")
    for crop in frames.crops:
        crop.path.unlink()
    for workers in (0, 1):
        with pytest.raises(FaceanimError, match=r"^\S+clip\d\.avi is missing.*$"):
            next(
                load_batches(
                    RestorationDataset(frames, SUPER_RESOLUTION_RUN), range(1, 3), workers, pin=False
                )
            )


@pytest.mark.parametrize(
    ("cores", "requested", "processes", "workers"),
    [(1, 8, 1, 0), (2, 2, 1, 1), (16, 8, 1, 8), (16, 8, 4, 2), (16, 64, 4, 3), (8, 2, 4, 0)],
)
def test_workers_leave_a_core_to_each_training_process(monkeypatch, cores, requested, processes, workers):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)))
    assert count_workers(requested, processes) == workers


def test_the_meter_separates_waiting_from_work(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def slow():
        while True:
            now[0] += 1.0
            yield "batch"

    meter = ThroughputMeter(batch_size=8)
    assert (meter.samples_per_s, meter.data_wait) == (0.0, 0.0)
    watched = meter.time_batches(slow())
    for _ in range(monitoring.WINDOW):
        next(watched)
        assert not meter.is_starved
        now[0] += 3.0
    next(watched)
    assert (meter.samples_per_s, meter.data_wait, meter.is_starved) == (2.0, 0.25, True)


def test_waiting_for_data_is_reported_once(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ThroughputMeter, "is_starved", property(lambda meter: True))
    train(SUPER_RESOLUTION_RUN, data, tmp_path)
    assert capsys.readouterr().err == ("over 20% of the time is spent waiting for data; raise run.workers\n")


def test_a_jump_of_the_loss_is_counted_once_until_it_is_over():
    jumps = LossJumps("l1")
    calm = [0.05, 0.03, 0.02, 0.04, 0.03]
    losses = [*calm, 8.0, 4.0, 0.9, 9.0, 0.03, 20.0, 0.0, 0.05]
    assert [losses[at] for at, starts in enumerate(map(jumps.add, losses)) if starts] == [8.0, 20.0]
    assert jumps.count == 2


def test_a_loss_that_rises_slowly_has_jumped_too():
    jumps = LossJumps("l1")
    losses = [0.01 * 1.03**step for step in range(300)]
    (at,) = [step for step, starts in enumerate(map(jumps.add, losses)) if starts]
    assert losses[at] / min(losses) == pytest.approx(100, rel=0.4)


def test_a_loss_that_is_zero_or_starts_low_has_not_jumped():
    for losses in ([0.0] * 9 + [0.5] * 9, [1e-9, 0.5, 0.4, 0.6, 0.5], [5.0, 0.04, 0.05, 4.0]):
        jumps = LossJumps("l1")
        assert not any(map(jumps.add, losses))


@pytest.mark.parametrize(
    ("trainer", "config"), [(AnimationTrainer, ANIMATION_RUN), (SuperResolutionTrainer, SUPER_RESOLUTION_RUN)]
)
def test_a_jump_is_said_once_also_by_a_run_that_resumes_in_it(
    data, tmp_path, monkeypatch, capsys, trainer, config
):
    made, calls = trainer.step, []
    recorder = Recorder()

    def jumps(self, batch):
        calls.append(batch)
        factor = 1000.0 if len(calls) in (4, 5, 6) else 1.0  # steps 4 and 5, and step 5 again
        return {name: factor * loss for name, loss in made(self, batch).items()}

    def stop(report):
        if report.step == 5:
            raise FaceanimError("gone")

    monkeypatch.setattr(trainer, "step", jumps)
    often = engine(config, checkpoint_every=1)
    with pytest.raises(FaceanimError, match="gone"):
        train(often, data, tmp_path, on_step=stop)
    last = train(often, data, tmp_path, open_logger=lambda run_id: recorder)
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "jumped" in line]
    assert re.fullmatch(
        rf"step 4: the loss {trainer.main_loss} jumped to \S+, \d+ times its level of \S+; lower .*", said
    )
    assert (last["loss_jumps"], recorder.rows[6]["loss_jumps"]) == (1, 1)
