import cv2
import numpy as np
import pytest
import torch
from skimage.data import astronaut

from faceanim.inference.keypoints import KeypointArray, render_at_full_size
from faceanim.inference.torch_backend import TorchNetwork
from faceanim.models.grids import identity_grid
from tests.helpers.tiny import save_models

FACE = np.ascontiguousarray(astronaut()[20:276, 100:356])


def grid(side: int, shift: float = 0.0) -> np.ndarray:
    made = identity_grid(side, side, like=torch.zeros(1)).numpy().copy()
    made[..., 0] += shift
    return made


@pytest.mark.parametrize("side", [16, 64, 256])
def test_no_motion_leaves_every_pixel_as_it_is(side):
    assert np.array_equal(render_at_full_size(FACE, grid(side), np.zeros((64, 64, 3), np.float32)), FACE)


def test_a_shift_is_a_shift():
    pixels = 10
    moved = render_at_full_size(FACE, grid(32, 2 * pixels / 255), np.zeros((64, 64, 3), np.float32))
    assert np.abs(moved[:, :-pixels].astype(int) - FACE[:, pixels:]).max() <= 1


def test_what_is_painted_is_added_and_stays_in_range():
    painted = np.zeros((64, 64, 3), np.float32)
    painted[:32, :, 0], painted[32:] = 2.0, -2.0
    made = render_at_full_size(FACE, grid(16), painted)
    assert (made[:120, :, 0] == 255).all()
    assert np.array_equal(made[:120, :, 1:], FACE[:120, :, 1:])
    assert (made[136:] == 0).all()


def test_at_the_networks_size_it_is_the_networks_frame(tmp_path):
    network = TorchNetwork.load(save_models(tmp_path), "cpu")
    torch.manual_seed(0)
    last = network._animator.animation.generator.last
    torch.nn.init.normal_(last.weight, std=0.02)
    small = cv2.GaussianBlur(cv2.resize(FACE, (64, 64), interpolation=cv2.INTER_AREA), (0, 0), 2)
    portrait = network.portrait(small)
    shifted = np.ascontiguousarray(np.roll(small, 5, axis=1)[None])
    driving = KeypointArray.concatenate([network.detect(shifted), network.detect(small[None])])
    theirs = portrait.frames(driving, super_resolve=False)
    changes = portrait.layers(driving)
    for frame, deformation, painted in zip(theirs, changes.deformation, changes.residual, strict=True):
        ours = render_at_full_size(small, deformation, painted)
        assert np.abs(painted).max() > 0.02
        assert np.abs(ours.astype(int) - frame).mean() < 1.5  # cubic where the network is bilinear
