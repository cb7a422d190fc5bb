import pytest
import torch
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from faceanim.errors import FaceanimError
from faceanim.models.perceptual import PerceptualLoss, load_perceptual


@pytest.fixture(scope="module")
def vgg19(tmp_path_factory):
    """VGG-19 with random weights in the layout of torchvision's file, with a truncated classifier."""
    torch.manual_seed(0)
    state = {f"features.{name}": tensor for name, tensor in make_layers(cfgs["E"]).state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / "vgg19.pth"
    torch.save(state | {"classifier.0.weight": torch.zeros(2, 2)}, path)
    return path


def test_the_loss_of_equal_frames_is_zero_and_of_others_positive(vgg19):
    loss = load_perceptual(vgg19, scales=1)
    frames = torch.rand(1, 3, 64, 64)
    assert loss(frames, frames) == 0
    assert loss(frames, 1 - frames) > 0


def test_gradients_reach_the_prediction_only(vgg19):
    loss = load_perceptual(vgg19, scales=1)
    prediction = torch.rand(1, 3, 32, 32, requires_grad=True)
    loss(prediction, torch.rand(1, 3, 32, 32)).backward()
    assert prediction.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in loss.parameters())


def test_equation_3_by_hand():
    identity = nn.Conv2d(3, 3, 1, bias=False)
    with torch.no_grad():
        identity.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
    loss = PerceptualLoss(nn.Sequential(identity, nn.ReLU()), scales=1)  # layer 1 is the first one compared
    bright, brighter = torch.full((1, 3, 4, 4), 0.8), torch.full((1, 3, 4, 4), 0.9)
    expected = sum(0.1 / s for s in (0.229, 0.224, 0.225)) / 3
    assert loss(bright, brighter).item() == pytest.approx(expected, rel=1e-5)


def test_several_scales_are_summed():
    identity = nn.Conv2d(3, 3, 1, bias=False)
    with torch.no_grad():
        identity.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
    features = nn.Sequential(identity, nn.ReLU())
    # A checkerboard and its inverse are the same once pixels are averaged: the second scale adds nothing ...
    board = (torch.arange(8)[:, None] + torch.arange(8)).remainder(2).float().expand(1, 3, 8, 8)
    assert PerceptualLoss(features, 2)(board, 1 - board) == PerceptualLoss(features, 1)(board, 1 - board)
    # ... and a difference that is the same everywhere counts once for each.
    bright, brighter = torch.full((1, 3, 8, 8), 0.8), torch.full((1, 3, 8, 8), 0.9)
    one, three = (PerceptualLoss(features, scales)(bright, brighter).item() for scales in (1, 3))
    assert three == pytest.approx(3 * one, rel=1e-5)


def test_other_weights_are_refused(tmp_path):
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(FaceanimError, match="does not hold VGG-19"):
        load_perceptual(tmp_path / "other.pth", scales=1)
