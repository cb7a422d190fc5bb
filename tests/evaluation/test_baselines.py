import pytest
import torch
from kornia.geometry.transform import warp_points_tps
from skimage.data import astronaut

from faceanim.evaluation.image_metrics import psnr
from faceanim.evaluation.methods import copy_source, fit_thin_plate_spline, warp_by_landmarks
from faceanim.media.tensors import to_float
from faceanim.models.landmark_motion import border_anchors

SIDE = 64


@pytest.fixture(scope="module")
def source():
    return torch.nn.functional.interpolate(to_float(astronaut()[None, :256, 100:356]), SIDE, mode="area")


@pytest.fixture(scope="module")
def landmarks():
    """Dense grid over the middle of the frame, (81, 2)."""
    axis = torch.linspace(-0.6, 0.6, 9)
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).reshape(-1, 2)


def moved(source, points, shift):
    both = torch.stack((points, points + torch.tensor(shift)))
    return warp_by_landmarks(source, both, torch.tensor([True, True]))


def test_copy(source):
    copies = copy_source(source, 3)
    assert copies.shape == (3, 3, SIDE, SIDE)
    assert torch.equal(copies[2], source[0])


def test_landmarks_that_stay_leave_the_source(source, landmarks):
    assert torch.allclose(moved(source, landmarks, (0.0, 0.0)), source, atol=1e-5)


def test_the_face_follows_the_landmarks(source, landmarks):
    pixels = 4
    right = moved(source, landmarks, (2 * pixels / SIDE, 0.0))
    middle = slice(24, 40)
    assert torch.allclose(right[..., middle, 24:40], source[..., middle, 20:36], atol=0.02)
    down = moved(source, landmarks, (0.0, 2 * pixels / SIDE))
    assert torch.allclose(down[..., 24:40, middle], source[..., 20:36, middle], atol=0.02)


def test_the_background_stays(source, landmarks):
    right = moved(source, landmarks / 2, (0.1, 0.0))
    border = torch.ones(SIDE, SIDE, dtype=torch.bool)
    border[2:-2, 2:-2] = False
    assert float((right - source)[..., border].abs().mean()) < 0.01


def test_better_than_copying_where_the_landmarks_explain_the_motion(source, landmarks):
    target = torch.roll(source, 3, dims=-1)
    warped = moved(source, landmarks, (2 * 3 / SIDE, 0.0))
    inside = slice(16, 48)
    gain = psnr(warped[..., inside, inside], target[..., inside, inside])
    assert float(gain) > float(psnr(source[..., inside, inside], target[..., inside, inside])) + 6


def test_frames_without_landmarks_are_copies(source, landmarks):
    points = torch.stack((landmarks, landmarks + 0.1, landmarks + 0.1))
    warped = warp_by_landmarks(source, points, torch.tensor([True, False, True]))
    assert torch.equal(warped[:1], source)
    assert not torch.allclose(warped[1:], source, atol=0.05)
    assert torch.equal(
        warp_by_landmarks(source, points, torch.tensor([False, True, True])), source.expand(2, -1, -1, -1)
    )


def test_landmarks_that_coincide_are_solved(source, landmarks):
    closed = landmarks.clone()
    closed[40] = closed[41]
    both = torch.stack((landmarks, closed))
    warped = warp_by_landmarks(source, both, torch.tensor([True, True]))
    assert torch.isfinite(warped).all()
    assert float((warped - source).abs().mean()) < 0.05


def test_spline_interpolates_its_points():
    generator = torch.Generator().manual_seed(0)
    here = torch.cat(
        (torch.rand(68, 2, generator=generator).double() - 0.5, border_anchors(torch.zeros(1).double()))
    )[None]
    there = here + 0.02 * torch.randn(here.shape, generator=generator).double()
    found = warp_points_tps(here, here, *fit_thin_plate_spline(here, there))
    assert float((found - there).norm(dim=-1).mean()) * SIDE / 2 < 0.05  # pixels
