import pytest
import torch
from torch.testing import assert_close

from faceanim.models.dense_motion import Motion
from faceanim.models.grids import identity_grid
from faceanim.models.painter import Painter

SIZE = 64


@pytest.fixture
def painter():
    torch.manual_seed(0)
    return Painter((4, 8), 1, uses_landmarks=False).eval()


def test_features_are_warped_at_exact_positions_in_bfloat16(painter):
    """The identity moves no feature; rounded to bfloat16, it would by up to an eighth of a pixel."""
    entered = []
    painter.up[0].register_forward_pre_hook(lambda module, inputs: entered.append(inputs[0]))
    source = torch.rand(1, 3, SIZE, SIZE)
    grid = identity_grid(SIZE, SIZE, source)[None]
    motion = Motion(grid, masks=torch.ones(1, 3, SIZE, SIZE), change=torch.ones(1, 1, SIZE, SIZE))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        features = painter.encode(source)
        painter(source, grid, motion, features)
    (image, full, half), (inputs,) = features, entered
    assert image is source
    assert full.dtype == half.dtype == inputs.dtype == torch.bfloat16
    assert full.std() > 0.1
    assert_close(inputs[:, 8:], full, atol=1e-4, rtol=2**-8)
