from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from faceanim.config import SuperResolutionModelConfig, load_params
from faceanim.models.build import build_super_resolution
from faceanim.models.super_resolution import LEVELS, enlarge

PROFILES = sorted((Path(__file__).parents[2] / "profiles").glob("*.yaml"))


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("size", [(64, 64), (50, 33)])
def test_it_starts_at_bicubic_whatever_the_size(factor, size):
    image = torch.rand(1, 3, *size)
    model = build_super_resolution(SuperResolutionModelConfig(factor=factor, channels=4))
    out = model(image)
    assert out.shape == (1, 3, factor * size[0], factor * size[1])
    wanted = F.interpolate(image, scale_factor=factor, mode="bicubic", align_corners=False)
    assert torch.allclose(out, wanted, atol=1e-5)
    assert torch.equal(enlarge(image, factor), out)


def test_it_clamps_only_outside_training():
    model = build_super_resolution(SuperResolutionModelConfig(factor=2, channels=4))
    with torch.no_grad():
        model.last.bias.fill_(2.0)
    assert model(torch.rand(1, 3, 32, 32)).min() > 1
    assert model.eval()(torch.rand(1, 3, 32, 32)).max() == 1


def test_figure_3_has_five_levels_and_3x3_kernels():
    model = build_super_resolution(SuperResolutionModelConfig(factor=2, channels=4))
    assert len(model.down) == len(model.up) == LEVELS == 5
    kernels = {
        m.kernel_size for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d)
    }
    assert kernels == {(3, 3)}


def test_gradients_reach_every_parameter():
    model = build_super_resolution(SuperResolutionModelConfig(factor=2, channels=4))
    with torch.no_grad():
        model.last.weight.normal_()
    model(torch.rand(2, 3, 32, 32)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_every_shipped_configuration_builds_and_runs(profile):
    params = load_params(profile)
    model = build_super_resolution(params.train_sr.model).eval()
    size = params.train_animation.model.size
    with torch.no_grad():
        assert model(torch.rand(1, 3, size, size)).shape == (1, 3, params.crop.size, params.crop.size)
