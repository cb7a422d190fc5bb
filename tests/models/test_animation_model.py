import pytest
import torch

from faceanim.models.build import build_animation
from faceanim.models.dense_motion import gaussians, sparse_motions
from faceanim.models.keypoints import Keypoints
from faceanim.models.landmark_motion import NUM_LANDMARKS
from tests.helpers.tiny import ANIMATION, WITH_LANDMARKS


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_animation(ANIMATION)


def test_shapes_and_ranges(model):
    animation = model(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64))
    assert animation.prediction.shape == (2, 3, 64, 64)
    assert animation.warped.shape == animation.generated.shape == (2, 3, 64, 64)
    assert animation.occlusion_map.shape == (2, 1, 64, 64)
    assert animation.deformation.shape == (2, 64, 64, 2)
    assert animation.kp_source.value.shape == animation.kp_driving.value.shape == (2, 4, 2)
    assert 0 <= animation.prediction.min() <= animation.prediction.max() <= 1


@pytest.mark.parametrize("motion_size", [32, 64])
def test_equal_keypoints_leave_the_source_as_it_is(motion_size):
    model = build_animation(ANIMATION.model_copy(update={"motion_size": motion_size}))
    source = torch.rand(2, 3, 64, 64)
    animation = model(source, source)
    assert torch.equal(animation.kp_source.value, animation.kp_driving.value)
    assert torch.allclose(animation.warped, source, atol=1e-5)


def test_positions_are_exact_in_bfloat16():
    model = build_animation(WITH_LANDMARKS)
    with torch.no_grad():  # a residual of zeros would move nothing, whatever its precision
        model.dense_motion.residual.weight.normal_(std=0.1)
    source, landmarks = torch.rand(2, 3, 64, 64), torch.rand(2, NUM_LANDMARKS, 2) - 0.5
    with torch.autocast("cpu", torch.bfloat16):
        animation = model(source, source, landmarks, landmarks)
        moved = model(source, source, landmarks, landmarks + 0.1)
    assert animation.deformation.dtype == animation.prediction.dtype == torch.float32
    assert torch.allclose(animation.prediction, source, atol=1e-5)
    assert (moved.deformation - animation.deformation).abs().max() > 0.05


def test_training_starts_at_the_warp(model):
    animation = model(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64))
    assert torch.equal(animation.generated, animation.warped)
    assert torch.allclose(animation.prediction, animation.warped, atol=1e-6)
    assert (animation.occlusion_map == 0.5).all()  # both R and M have gradient


def test_prediction_is_equation_2(model):
    with torch.no_grad():
        model.generator.last.weight.normal_(std=0.1)
    made = model(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
    mask = made.occlusion_map
    assert mask.std() > 0.001
    assert torch.allclose(made.prediction, mask * made.warped + (1 - mask) * made.generated)


@pytest.mark.parametrize(("encoder", "jacobians"), [("resnet18", False), ("plain", True)])
def test_gradients_reach_every_parameter(encoder, jacobians):
    model = build_animation(ANIMATION.model_copy(update={"encoder": encoder, "jacobians": jacobians}))
    with torch.no_grad():  # a last layer of zeros lets no gradient through in its first step
        model.generator.last.weight.normal_(std=0.1)
    animation = model(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64))
    animation.prediction.square().mean().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_a_keypoint_moves_its_surroundings_with_it():
    source, driving = Keypoints(torch.tensor([[[0.5, 0.0]]])), Keypoints(torch.tensor([[[0.0, -0.5]]]))
    motions = sparse_motions(source, driving, 5, 5)
    assert motions.shape == (1, 2, 5, 5, 2)
    assert motions[0, 0, 2, 2].tolist() == [0, 0]  # the background stays
    assert motions[0, 1, 1, 2].tolist() == [0.5, 0.0]  # the driving keypoint shows the source's


def test_an_affine_motion_turns_about_its_keypoint():
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    source = Keypoints(torch.tensor([[[0.5, 0.0]]]), quarter.view(1, 1, 2, 2))
    driving = Keypoints(torch.tensor([[[0.0, 0.0]]]), torch.eye(2).view(1, 1, 2, 2))
    motions = sparse_motions(source, driving, 5, 5)[0, 1]
    assert motions[2, 2].tolist() == [0.5, 0.0]
    # Half a unit to the right of the driving keypoint is half a unit below the source's.
    assert torch.allclose(motions[2, 3], torch.tensor([0.5, 0.5]))
    # The same rotation of both cancels out.
    both = Keypoints(source.value, source.jacobian)
    assert torch.allclose(sparse_motions(both, both, 5, 5)[0, 1], sparse_motions(both, both, 5, 5)[0, 0])


def test_gaussians_have_their_height_position_and_variance():
    drawn = gaussians(Keypoints(torch.tensor([[[0.5, -0.5]]])), 5, 5, variance=0.125)[0, 0]
    assert drawn[1, 3] == 1
    assert torch.isclose(drawn[1, 2], torch.exp(torch.tensor(-1.0)))  # at a distance of 0.5
