import math

import pytest
import torch

from faceanim.models.grids import identity_grid
from faceanim.models.keypoints import Keypoints
from faceanim.training.losses import (
    RandomWarp,
    discriminator_loss,
    equivariance_losses,
    feature_matching_loss,
    flow_loss,
    focus_map,
    generator_loss,
    landmark_loss,
    pyramid_l1,
    visibility_loss,
)


def test_equation_4_by_hand():
    real, fake = torch.tensor([1.0, 0.5]), torch.tensor([0.0, 0.5])
    assert discriminator_loss(real, fake).item() == pytest.approx((0 + 0.25) / 2 + (0 + 0.25) / 2)


def test_equation_5_by_hand():
    assert generator_loss(torch.tensor([1.0, 0.0, -1.0])).item() == pytest.approx((0 + 1 + 4) / 3)


def test_pyramid_by_hand():
    # A checkerboard differs from its inverse by 1 in every pixel, and not at all once pixels are averaged.
    board = (torch.arange(8)[:, None] + torch.arange(8)).remainder(2).float().expand(1, 3, 8, 8)
    assert pyramid_l1(board, 1 - board, levels=1).item() == 1
    assert pyramid_l1(board, 1 - board, levels=4).item() == 0.25
    assert pyramid_l1(board, board + 0.1).item() == pytest.approx(0.1)


def test_feature_matching_by_hand():
    fake = (torch.tensor([1.0, 2.0]), torch.tensor([0.0]))
    real = (torch.tensor([1.5, 2.0]), torch.tensor([2.0], requires_grad=True))
    loss = feature_matching_loss(fake, real)
    assert loss.item() == pytest.approx(0.25 + 2)
    assert not loss.requires_grad  # the real features get no gradient


def test_landmarks_guide_the_first_keypoints_only():
    found = torch.tensor([[[0.0, 0.0], [0.5, 0.5], [9.0, 9.0]]])
    wanted = torch.tensor([[[0.1, 0.0], [0.5, 0.2]]])
    assert landmark_loss(found, wanted).item() == pytest.approx((0.1 + 0.3) / 4)


def test_the_jacobian_of_a_warp_is_that_of_finite_differences():
    torch.manual_seed(0)
    warp = RandomWarp(1, like=torch.zeros(1))
    point, step = torch.tensor([[[0.3, -0.4]]]), 1e-2
    across = (warp.points(point + torch.tensor([step, 0])) - warp.points(point - torch.tensor([step, 0])))[
        0, 0
    ]
    down = (warp.points(point + torch.tensor([0, step])) - warp.points(point - torch.tensor([0, step])))[0, 0]
    expected = torch.stack((across, down), dim=-1) / (2 * step)
    assert torch.allclose(warp.jacobian(point)[0, 0], expected, atol=2e-3)
    assert (expected - torch.eye(2)).abs().max() > 0.01


def test_a_warp_moves_the_image_and_its_points_alike():
    torch.manual_seed(0)
    warp = RandomWarp(2, like=torch.zeros(1))
    line = torch.linspace(-1, 1, 33)
    x, y = torch.meshgrid(line, line, indexing="xy")
    positions = torch.stack((x, y)).expand(2, 2, 33, 33)  # an image whose values are its coordinates
    warped = warp.image(positions)
    points = torch.tensor([[0.25, -0.5], [0.0, 0.0]]).expand(2, 2, 2)
    read = torch.stack((warped[:, :, 8, 20], warped[:, :, 16, 16]), dim=1)
    assert torch.allclose(warp.points(points), read, atol=1e-3)
    assert (warp.points(points) - points).abs().max() > 0.01


def test_equivariance_is_zero_for_a_detector_that_follows_and_positive_for_one_that_does_not():
    line = torch.linspace(-1, 1, 64)
    x, y = torch.meshgrid(line, line, indexing="xy")
    blob = torch.exp(-((x - 0.2) ** 2 + (y + 0.1) ** 2) / 0.005).expand(2, 3, 64, 64)

    def center_of_mass(image):
        weight = image[:, 0] / image[:, 0].sum(dim=(1, 2), keepdim=True)
        return Keypoints(
            torch.stack(((weight * x).sum(dim=(1, 2)), (weight * y).sum(dim=(1, 2))), dim=-1)[:, None]
        )

    def stubborn(image):
        return Keypoints(torch.zeros(2, 1, 2))

    torch.manual_seed(0)
    assert equivariance_losses(center_of_mass, blob, center_of_mass(blob))["equivariance"] < 0.003
    assert equivariance_losses(stubborn, blob, stubborn(blob))["equivariance"] > 0.01


def test_a_jacobian_that_does_not_follow_the_warp_is_penalized():
    found = Keypoints(torch.zeros(2, 1, 2), torch.eye(2).expand(2, 1, 2, 2))
    frames = torch.rand(2, 3, 32, 32)
    torch.manual_seed(0)
    losses = equivariance_losses(lambda image: found, frames, found)
    # The loss is the distance of the warp from the identity.
    torch.manual_seed(0)
    expected = (RandomWarp(2, like=torch.zeros(1)).jacobian(found.value) - torch.eye(2)).abs().mean()
    assert losses["jacobian"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert expected > 0.01


def test_weighted_pixels_count_more():
    prediction = torch.zeros(1, 3, 8, 8)
    prediction[..., :4] = 1.0
    weight = torch.ones(1, 1, 8, 8)
    weight[..., :4] = 3.0
    assert pyramid_l1(prediction, torch.zeros_like(prediction), weight, levels=2).item() == pytest.approx(1.5)


def test_focus_lies_on_mouth_and_eyes_and_is_empty_without_landmarks():
    landmarks = torch.full((2, 68, 2), -0.8)
    landmarks[:, 36:48], landmarks[:, 48:] = 0.0, 0.5
    landmarks[1] = torch.nan
    focus = focus_map(landmarks, 65)
    assert focus.shape == (2, 1, 65, 65)
    assert focus[0, 0, 32, 32].item() == focus[0, 0, 48, 48].item() == 1
    assert focus[0, 0, 6, 6] < 1e-6
    assert not focus[1].any()


def test_flow_is_compared_where_it_is_known_and_visible():
    truth = identity_grid(8, 8, torch.zeros(1)).repeat(2, 1, 1, 1)
    deformation = truth + torch.tensor([0.1, -0.2])
    deformation[0, 0, 0] += 5
    visible = torch.ones(2, 1, 8, 8)
    visible[0, 0, 0, 0] = 0
    truth[1], visible[1] = torch.nan, torch.nan
    deformation.requires_grad_()
    loss = flow_loss(deformation, truth, visible)
    loss.backward()
    assert loss.item() == pytest.approx(0.3)
    assert deformation.grad.isfinite().all()
    assert not deformation.grad[1].any()
    assert flow_loss(deformation, truth.fill_(torch.nan), visible).item() == 0


def test_visibility_by_hand():
    masks = torch.full((2, 3, 4, 4), 0.25, requires_grad=True)
    visible = torch.zeros(2, 1, 8, 8)
    visible[1] = torch.nan
    loss = visibility_loss(masks, visible)
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(0.75))
    assert not masks.grad[1].any()
    assert visibility_loss(masks, visible.fill_(torch.nan)).item() == 0
