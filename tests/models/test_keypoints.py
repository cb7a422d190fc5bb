import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from faceanim.errors import FaceanimError
from faceanim.models.keypoints import (
    KeypointDetector,
    Keypoints,
    build_keypoint_unet,
    load_encoder_weights,
    local_jacobian,
    soft_argmax,
)


class Constant(nn.Module):
    """Network with the same output for every image."""

    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, image):
        return self.output


def detector():
    return KeypointDetector(build_keypoint_unet("resnet18", (16, 8, 8, 8, 8), 10), 10, temperature=0.1)


def test_soft_argmax_of_a_delta_is_its_position():
    heatmap = torch.zeros(1, 3, 9, 5)
    heatmap[0, 0, 0, 0] = 1
    heatmap[0, 1, 4, 2] = 1
    heatmap[0, 2, 8, 1] = 1
    assert torch.allclose(soft_argmax(heatmap)[0], torch.tensor([[-1.0, -1], [0, 0], [-0.5, 1]]))


def test_soft_argmax_of_two_halves_is_the_middle():
    heatmap = torch.zeros(1, 1, 3, 3)
    heatmap[0, 0, 0, 0] = heatmap[0, 0, 0, 2] = 0.5
    assert torch.allclose(soft_argmax(heatmap), torch.tensor([[[0.0, -1.0]]]))


def test_detector_is_a_soft_argmax_over_the_networks_maps():
    logits = torch.zeros(1, 1, 2, 2)
    logits[0, 0, 1, 0] = 0.1  # over the temperature: 1
    found = KeypointDetector(Constant(logits), 1, temperature=0.1)(torch.rand(1, 3, 2, 2)).value
    weight = torch.tensor([1.0, 1, torch.e, 1])
    weight /= weight.sum()
    x = -weight[0] + weight[1] - weight[2] + weight[3]
    y = -weight[0] - weight[1] + weight[2] + weight[3]
    assert torch.allclose(found[0, 0], torch.stack((x, y)), atol=1e-6)


@pytest.mark.parametrize("encoder", ["resnet18", "plain"])
def test_shapes(encoder):
    unet = build_keypoint_unet(encoder, (16, 8, 8, 8, 8), 10)
    keypoints = KeypointDetector(unet, 10, temperature=0.1)(torch.rand(2, 3, 64, 64))
    assert keypoints.value.shape == (2, 10, 2)
    assert keypoints.value.abs().max() <= 1
    assert keypoints.jacobian is None


def test_a_jacobian_is_the_identity_and_the_mean_under_the_heatmap():
    heatmap = torch.zeros(1, 2, 3, 3)
    heatmap[0, 0, 1, 1] = 1
    heatmap[0, 1, 0, 0] = heatmap[0, 1, 0, 2] = 0.5
    affine = torch.zeros(1, 8, 3, 3)
    affine[0, 1, 1, 1] = 0.3  # of the first keypoint, row x, column y
    affine[0, 4:, 0, 2] = torch.tensor([0.2, 0.0, 0.0, -0.4])
    found = local_jacobian(heatmap, affine)[0]
    assert torch.allclose(found[0], torch.tensor([[1.0, 0.3], [0.0, 1.0]]))
    assert torch.allclose(found[1], torch.tensor([[1.1, 0.0], [0.0, 0.8]]))


def test_a_detector_with_jacobians_has_one_for_each_keypoint():
    unet = build_keypoint_unet("resnet18", (16, 8, 8, 8, 8), 50)
    keypoints = KeypointDetector(unet, 10, temperature=0.1)(torch.rand(2, 3, 64, 64))
    assert keypoints.value.shape == (2, 10, 2)
    assert keypoints.jacobian.shape == (2, 10, 2, 2)


def test_split_cuts_the_batch():
    value, jacobian = torch.rand(5, 10, 2), torch.rand(5, 10, 2, 2)
    first, second = Keypoints(value, jacobian).split((2, 3))
    assert torch.equal(first.value, value[:2])
    assert torch.equal(second.value, value[2:])
    assert torch.equal(second.jacobian, jacobian[2:])
    assert Keypoints(value).split((2, 3))[1].jacobian is None


def test_expand_repeats_one_frame():
    one = Keypoints(torch.rand(1, 3, 2), torch.rand(1, 3, 2, 2)).expand(4)
    assert (one.value.shape, one.jacobian.shape) == ((4, 3, 2), (4, 3, 2, 2))
    assert torch.equal(one.value[3], one.value[0])


def test_imagenet_weights_come_from_torchvisions_file(tmp_path):
    network = resnet18()
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    loaded = detector()
    load_encoder_weights(loaded, tmp_path / "resnet18.pth")
    assert torch.equal(loaded.unet.encoder.layer4[1].conv2.weight, network.layer4[1].conv2.weight)


def test_other_weights_are_refused(tmp_path):
    state = resnet18().state_dict()
    state.pop("conv1.weight")
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(FaceanimError, match="does not hold the weights of this encoder"):
        load_encoder_weights(detector(), tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(FaceanimError, match=r"cannot read weights from \S+text\.pth: "):
        load_encoder_weights(detector(), tmp_path / "text.pth")
    with pytest.raises(FaceanimError, match=r"missing\.pth"):
        load_encoder_weights(detector(), tmp_path / "missing.pth")
