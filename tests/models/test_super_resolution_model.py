import pytest
import torch
import torch.nn.functional as F

from faceanim.config import SuperResolutionModelConfig, load_params
from faceanim.models.build import build_super_resolution
from faceanim.models.super_resolution import LEVELS, upscale_bicubic
from tests.helpers.paths import PROFILES

CROP, GENERATED = torch.tensor([False]), torch.tensor([True])
PROFILE_FILES = sorted(PROFILES.glob("*.yaml"))


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("size", [(64, 64), (50, 33)])
def test_it_starts_at_bicubic_whatever_the_size(factor, size):
    image = torch.rand(1, 3, *size)
    model = build_super_resolution(
        SuperResolutionModelConfig(factor=factor, channels=4, generated_strength=0.5)
    )
    out = model(image, GENERATED)
    assert torch.equal(out, model(image, CROP))
    assert out.shape == (1, 3, factor * size[0], factor * size[1])
    wanted = F.interpolate(image, scale_factor=factor, mode="bicubic", align_corners=False)
    assert torch.allclose(out, wanted, atol=1e-5)
    assert torch.equal(upscale_bicubic(image, factor), out)


def test_it_clamps_only_outside_training():
    model = build_super_resolution(SuperResolutionModelConfig(factor=2, channels=4, generated_strength=0.5))
    with torch.no_grad():
        model.of_crops.bias.fill_(2.0)
    assert model(torch.rand(1, 3, 32, 32), CROP).min() > 1
    assert model.eval()(torch.rand(1, 3, 32, 32), CROP).max() == 1


def test_crops_and_generated_frames_of_a_batch_have_a_last_layer_each():
    model = build_super_resolution(
        SuperResolutionModelConfig(factor=2, channels=4, generated_strength=0.5)
    ).eval()
    with torch.no_grad():
        model.of_generated.weight.normal_(std=0.01)
    image = torch.rand(1, 3, 32, 32).expand(2, -1, -1, -1)
    crop, generated = model(image, torch.tensor([False, True]))
    assert torch.equal(crop, upscale_bicubic(image[:1], 2)[0].clamp(0, 1))
    assert not torch.equal(crop, generated)


def test_generated_frames_are_changed_by_a_share_of_what_training_sees():
    config = SuperResolutionModelConfig(factor=1, channels=4, generated_strength=0.5)
    model = build_super_resolution(config)
    with torch.no_grad():
        model.of_generated.weight.normal_(std=0.001)
    image = 0.5 * torch.rand(1, 3, 32, 32) + 0.25
    whole = model(image, GENERATED) - image
    assert torch.allclose(model.eval()(image, GENERATED) - image, whole / 2, atol=1e-6)


def test_figure_3_has_five_levels_and_3x3_kernels():
    model = build_super_resolution(SuperResolutionModelConfig(factor=2, channels=4, generated_strength=0.5))
    assert len(model.down) == len(model.up) == LEVELS == 5
    kernels = {
        m.kernel_size for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d)
    }
    assert kernels == {(3, 3)}


def test_gradients_reach_every_parameter():
    model = build_super_resolution(SuperResolutionModelConfig(factor=2, channels=4, generated_strength=0.5))
    with torch.no_grad():
        model.of_crops.weight.normal_()
        model.of_generated.weight.normal_()
    model(torch.rand(2, 3, 32, 32), torch.tensor([False, True])).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("profile", PROFILE_FILES, ids=lambda path: path.stem)
def test_every_shipped_configuration_builds_and_runs(profile):
    params = load_params(profile)
    model = build_super_resolution(params.train_sr.model).eval()
    size = params.train_animation.model.size
    with torch.no_grad():
        assert model(torch.rand(1, 3, size, size), GENERATED).shape == (
            1,
            3,
            params.crop.size,
            params.crop.size,
        )
