import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from faceanim.synthetic.pairs import RenderedPairs


def test_batches_depend_on_seed_and_step_only() -> None:
    pairs = RenderedPairs(32, 2, 3, seed=1)
    alone = [pairs[step] for step in range(3)]
    loaded = list(DataLoader(pairs, batch_size=None, num_workers=1))
    for first, second in zip(alone, loaded, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(alone[0].source, RenderedPairs(32, 2, 3, seed=2)[0].source)
    with pytest.raises(IndexError):
        pairs[3]


def test_landmarks_lie_on_the_face() -> None:
    batch = RenderedPairs(64, 4, 1, seed=3)[0]
    assert batch.source.shape == batch.driving.shape == (4, 3, 64, 64)
    assert batch.source.min() >= 0
    assert batch.source.max() <= 1
    points = batch.driving_landmarks
    assert points.shape == (4, 68, 2)
    eyes = points[:, 42:48].mean(1) - points[:, 36:42].mean(1)
    assert (eyes[:, 0] > 0.2).all()  # the person's left eye is on the right
    assert (points[:, 8, 1] > points[:, 30, 1]).all()  # the chin is below the nose
    assert np.isfinite(points.numpy()).all()


def test_the_true_grid_brings_the_source_to_the_driving_frame() -> None:
    batch = RenderedPairs(64, 4, 81, seed=4)[80]
    warped = torch.nn.functional.grid_sample(batch.source, batch.grid, align_corners=True)
    error = ((warped - batch.driving).abs() * batch.visible).mean()
    still = ((batch.source - batch.driving).abs() * batch.visible).mean()
    assert batch.visible.mean() > 0.7
    assert error < 0.6 * still
