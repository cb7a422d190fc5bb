import copy
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import _SpectralNorm

from faceanim.datasets.animation import PairDataset
from faceanim.datasets.frames import BatchDataset, CropFrames
from faceanim.datasets.super_resolution import RestorationDataset
from faceanim.errors import FaceanimError
from faceanim.training.animation import AnimationTrainer
from faceanim.training.checkpoint import open_checkpoints
from faceanim.training.engine import Engine
from faceanim.training.loop import collect_state, fit
from faceanim.training.losses import NonFiniteLossError
from faceanim.training.optim import WeightAverage
from faceanim.training.super_resolution import SuperResolutionTrainer
from tests.helpers.crops import write_crops
from tests.helpers.tiny import ANIMATION
from tests.helpers.training_processes import in_processes
from tests.helpers.training_runs import (
    ANIMATION_RUN,
    ENGINE,
    SUPER_RESOLUTION_RUN,
    context,
    engine,
    train,
    written,
)

# These steps draw no random numbers, so that the division of the batch does not change the result.
DRAWLESS_ANIMATION = ANIMATION_RUN.model_copy(
    update={
        "batch_size": 4,
        "losses": ANIMATION_RUN.losses.model_copy(update={"equivariance": 0.0}),
    }
)
DRAWLESS_SUPER_RESOLUTION = SUPER_RESOLUTION_RUN.model_copy(update={"batch_size": 4})
# Rounding errors in a step of Adam grow with each following step; this rate keeps them small.
SLOW_ANIMATION = ANIMATION_RUN.model_copy(
    update={
        "batch_size": 4,
        "steps": 10,
        "optimizer": ANIMATION_RUN.optimizer.model_copy(update={"name": "adam", "lr": 1e-5}),
        "model": ANIMATION,
    }
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_crops(tmp_path_factory.mktemp("crops"))


def freeze_statistics(trainer):
    """Make the networks independent of the division of a batch into parts.

    Batch normalization uses its running statistics, because those of a part differ from those of the batch;
    spectral normalization stops refining its estimate, which it otherwise does for each part.
    """
    for network in {"model", "discriminator"} & set(vars(trainer)):
        for module in getattr(trainer, network).modules():
            if isinstance(module, nn.BatchNorm2d | _SpectralNorm):
                module.eval()


class DoublePrecision(BatchDataset):
    """Dataset whose batches are converted to double precision."""

    def __init__(self, batches):
        self.batches = batches

    def __getitem__(self, step):
        batch = self.batches[step]
        return type(batch)(*(each.double() if each.is_floating_point() else each for each in batch))


@pytest.fixture
def double():
    """Use double precision, because Adam turns gradients that are mere rounding errors into full steps."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def fit_frozen(config, data, folder):
    """Train with frozen batch statistics, and write the final state of each process to a file."""
    animation = hasattr(config, "losses")
    trainer = AnimationTrainer(config) if animation else SuperResolutionTrainer(config, None)
    freeze_statistics(trainer)
    frames = CropFrames(data[0], "train", config.model.size if animation else None)
    share = trainer.engine.rank, trainer.engine.processes
    batches = (PairDataset if animation else RestorationDataset)(frames, config, *share)
    saved = open_checkpoints(folder / "checkpoints", "test", config, [])
    fit(trainer, DoublePrecision(batches), config, saved, folder / "history.csv", context())
    torch.save(
        collect_state(trainer) | {"rates": trainer.current_rates()}, folder / f"{trainer.engine.rank}.pt"
    )


def fitted(config, data, folder, processes=1):
    """Train in one or more processes and return the final state of each."""
    folder.mkdir()
    if processes == 1:
        fit_frozen(config, data, folder)
    else:
        in_processes(processes, fit_frozen, config, data, folder)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(processes)]


def largest_difference(a, b):
    return max((a[name].double() - b[name].double()).abs().max().item() for name in a)


@pytest.mark.slow
@pytest.mark.parametrize("config", [DRAWLESS_ANIMATION, DRAWLESS_SUPER_RESOLUTION])
@pytest.mark.usefixtures("double")
def test_two_processes_with_two_parts_each_match_one_process(data, tmp_path, config):
    (alone,) = fitted(config, data, tmp_path / "one")
    first, second = fitted(engine(config, accumulate_grad_batches=2), data, tmp_path / "two", processes=2)
    assert first["rates"] == second["rates"]
    for network in {"model", "discriminator"} & set(alone):
        assert largest_difference(first[network], second[network]) == 0
        assert largest_difference(alone[network], first[network]) < 1e-9
    one, two = ((tmp_path / name / "history.csv").read_text().splitlines() for name in ("one", "two"))
    assert one[0] == two[0]
    for line in zip(one[1:], two[1:], strict=True):
        numbers = [[float(word) for word in row.split(",") if word not in ("adam", "sgd")] for row in line]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-9)


def test_processes_switch_together_and_draw_independently(data, tmp_path):
    def run():
        train(ANIMATION_RUN.model_copy(update={"batch_size": 4}), data, tmp_path)

    in_processes(2, run)
    assert set(written(tmp_path))
    assert "sgd" in (tmp_path / "history.csv").read_text()
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_batch_that_cannot_be_divided_is_refused():
    with pytest.raises(FaceanimError, match=r"batch_size is 3, .* 1 processes .* 2 parts"):
        Engine(ENGINE.model_copy(update={"accumulate_grad_batches": 2}), batch_size=3)


@pytest.mark.slow
def test_bf16_tracks_fp32(data, tmp_path):
    """Over a few random networks: how soon rounding errors grow depends on the initial weights."""
    losses = {"fp32": [], "bf16": []}
    for seed, precision in product(range(3), losses):
        seeded = SLOW_ANIMATION.model_copy(update={"seed": seed})
        config = engine(seeded, precision=precision, checkpoint_every=100)
        seen = []
        train(config, data, tmp_path, on_step=lambda report, seen=seen: seen.append(report.losses["pixel"]))
        losses[precision].append(seen)
    assert losses["bf16"] != losses["fp32"]
    apart = np.abs(np.divide(losses["bf16"], losses["fp32"]) - 1)
    assert apart.mean() < 0.03
    assert apart.mean(axis=0).max() < 0.1


def test_the_average_by_hand():
    torch.manual_seed(0)
    linear, norm = nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2)
    model = nn.Sequential(linear, norm)
    average = WeightAverage(model, decay=0.75)
    wanted: float | None = None
    for step in range(40):  # from the 27th on, the decay is the smaller of the two
        with torch.no_grad():
            linear.weight.fill_(step)
        model(torch.rand(4, 2))
        average.update()
        share = min(0.75, (1 + step) / (10 + step))
        wanted = step if wanted is None else share * wanted + (1 - share) * step
        averaged = average.averaged_model
        assert averaged.get_parameter("0.weight").flatten().tolist() == pytest.approx([wanted] * 4)
        assert torch.equal(averaged.get_buffer("1.running_mean"), norm.running_mean)
    copied = WeightAverage(copy.deepcopy(model), decay=0.75)
    copied.load_state_dict(average.state_dict())
    weights = [each.averaged_model.get_parameter("0.weight") for each in (copied, average)]
    assert torch.equal(*weights)
    assert WeightAverage(model, decay=0.0).averaged_model is model


def test_the_average_is_written(data, tmp_path):
    plain, averaged = SUPER_RESOLUTION_RUN, engine(SUPER_RESOLUTION_RUN, ema_decay=0.5)
    for name, config in (("plain", plain), ("averaged", averaged)):
        train(config, data, tmp_path / name)
    first, second = (written(tmp_path / name) for name in ("plain", "averaged"))
    assert first["history.csv"] == second["history.csv"]
    assert first["model/weights.safetensors"] != second["model/weights.safetensors"]


@pytest.mark.parametrize(("clip_norm", "moved"), [(0.0, 10.0), (1.0, 1.0), (100.0, 10.0)])
def test_clipping_bounds_the_norm(clip_norm, moved):
    model = nn.Linear(2, 1, bias=False)
    made = Engine(ENGINE.model_copy(update={"clip_norm": clip_norm}), batch_size=1)
    wrapped, optimizer = made.setup(model, torch.optim.SGD(model.parameters(), lr=1.0))
    before = model.weight.detach().clone()
    made.backward(wrapped(torch.tensor([[6.0, 8.0]])).sum())
    made.update(model, optimizer)
    assert (model.weight - before).norm().item() == pytest.approx(moved, rel=1e-4)
    assert model.weight.grad is None


def test_a_gradient_that_is_not_finite_changes_no_weight():
    model = nn.Linear(2, 1)
    made = Engine(ENGINE, batch_size=1)
    wrapped, optimizer = made.setup(model, torch.optim.SGD(model.parameters(), lr=1.0))
    before = model.weight.detach().clone()
    made.backward(wrapped(torch.tensor([[torch.inf, 0.0]])).sum())
    with pytest.raises(NonFiniteLossError, match="the gradient of the Linear is not finite"):
        made.update(model, optimizer)
    assert torch.equal(model.weight, before)


def test_a_compiled_network_has_plain_names_and_the_same_results(data, tmp_path, monkeypatch):
    compiled = nn.Module.compile
    # The default backend would run a C++ compiler for half a minute.
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled(self, backend="eager"))
    for name, compile_it in (("plain", False), ("compiled", True)):
        train(engine(SUPER_RESOLUTION_RUN, compile=compile_it, ema_decay=0.5), data, tmp_path / name)
    assert written(tmp_path / "plain") == written(tmp_path / "compiled")
