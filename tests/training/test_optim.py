import io

import pytest
import torch
from torch import nn

from faceanim.config import OptimizerConfig
from faceanim.training.optim import Swats, build_optimizer


def swats(params, tolerance=0.2, cap=10.0, lr=0.01):
    return Swats(params, lr=lr, betas=(0.9, 0.9), switch_tolerance=tolerance, sgd_lr_cap=cap)


def descend(weights, optimizer, steps):
    """Minimize a quadratic function and return the last loss."""
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (weights * torch.tensor([1.0, 2.0, 3.0])).square().sum()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_it_is_adam_until_it_switches():
    a, b = (nn.Parameter(torch.ones(3)) for _ in range(2))
    ours, adam = swats([a], tolerance=0.0), torch.optim.Adam([b], lr=0.01, betas=(0.9, 0.9))
    descend(a, ours, 20)
    descend(b, adam, 20)
    assert torch.allclose(a, b, atol=1e-6)
    assert ours.phase == "adam"


def test_it_does_not_switch_before_the_mean_is_reliable():
    weights = nn.Parameter(torch.ones(3))
    optimizer = swats([weights], tolerance=1e9)
    descend(weights, optimizer, 9)
    assert optimizer.phase == "adam"
    descend(weights, optimizer, 1)
    assert optimizer.phase == "sgd"


def test_the_learned_rate_by_hand():
    # Adam's first step is lr * sign(g): p = -0.01, g = 4, so gamma = p.p / -p.g = 0.01 / 4.
    weight = nn.Parameter(torch.tensor([2.0]))
    optimizer = swats([weight])
    weight.square().sum().backward()
    optimizer.step()
    group = optimizer.param_groups[0]
    assert group["mean_rate"] / (1 - 0.9) == pytest.approx(0.01 / 4, rel=1e-4)


def test_it_switches_and_continues_to_descend():
    weights = nn.Parameter(torch.ones(3))
    optimizer = swats([weights])
    start = descend(weights, optimizer, 1)
    descend(weights, optimizer, 30)
    assert optimizer.phase == "sgd"
    assert optimizer.rate != 0.01
    assert descend(weights, optimizer, 3000) < start / 1e3


def test_the_sgd_step_by_hand():
    weights = nn.Parameter(torch.ones(3))
    optimizer = swats([weights])
    while optimizer.phase == "adam":
        descend(weights, optimizer, 1)
    before, rate = weights.detach().clone(), optimizer.rate
    velocity = torch.zeros(3)
    for _ in range(2):
        gradient = 2 * before * torch.tensor([1.0, 4.0, 9.0])
        velocity = 0.9 * velocity + gradient
        before = before - (1 - 0.9) * rate * velocity
    descend(weights, optimizer, 2)
    assert torch.allclose(weights, before, atol=1e-6)


def test_the_rate_is_capped():
    weights = nn.Parameter(torch.ones(3))
    optimizer = swats([weights], cap=1e-4)
    descend(weights, optimizer, 40)
    assert (optimizer.phase, optimizer.rate) == ("sgd", 1e-4)


@pytest.mark.parametrize("steps", [3, 40])
def test_phase_and_rate_are_in_the_checkpoint(steps):
    weights = nn.Parameter(torch.ones(3))
    optimizer = swats([weights])
    descend(weights, optimizer, steps)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    copy = nn.Parameter(weights.detach().clone())
    resumed = swats([copy])
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert (resumed.phase, resumed.rate) == (optimizer.phase, optimizer.rate)
    descend(weights, optimizer, 30)
    descend(copy, resumed, 30)
    assert torch.equal(weights, copy)


@pytest.mark.parametrize(("name", "kind"), [("swats", Swats), ("adam", torch.optim.Adam)])
def test_the_configuration_names_the_optimizer(name, kind):
    config = OptimizerConfig(name=name, lr=0.01, beta1=0.5, beta2=0.9, swats_eps=0.1, sgd_lr_cap=0.2)
    built = build_optimizer(nn.Linear(2, 2), config)
    assert type(built) is kind
    assert built.param_groups[0]["betas"] == (0.5, 0.9)
