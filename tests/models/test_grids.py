import pytest
import torch

from faceanim.models.grids import identity_grid, resize_grid, shrink, warp


@pytest.mark.parametrize(("small", "large"), [(8, 8), (8, 64), (32, 64)])
def test_identity_warp_is_exact_at_every_size(small, large):
    image = torch.rand(2, 3, large, large)
    grid = resize_grid(identity_grid(small, small, image).expand(2, -1, -1, -1), large, large)
    assert torch.allclose(warp(image, grid), image, atol=1e-5)


def test_x_comes_before_y():
    grid = identity_grid(3, 5, torch.zeros(1))
    assert grid.shape == (3, 5, 2)
    assert grid[0, 4].tolist() == [1, -1]
    assert grid[2, 0].tolist() == [-1, 1]


def test_warp_reads_where_the_grid_points_and_repeats_the_border():
    image = torch.arange(5.0).expand(1, 1, 5, 5)  # the value is the column
    one_pixel_right = identity_grid(5, 5, image) + torch.tensor([0.5, 0.0])
    assert torch.allclose(warp(image, one_pixel_right[None])[0, 0, 2], torch.tensor([1.0, 2, 3, 4, 4]))


def test_shrink_averages():
    assert shrink(torch.arange(16.0).view(1, 1, 4, 4), 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
