import torch

from faceanim.models.build import build_discriminator


def test_one_score_per_patch():
    judged = build_discriminator(8)(torch.rand(2, 3, 64, 64))
    assert judged.score.shape == (2, 1, 8, 8)
    assert [tuple(layer.shape) for layer in judged.features] == [
        (2, 8, 32, 32),
        (2, 16, 16, 16),
        (2, 32, 8, 8),
    ]


def test_a_score_depends_on_its_patch_only():
    discriminator = build_discriminator(8).eval()
    image = torch.rand(1, 3, 128, 128)
    other = image.clone()
    other[..., 100:, 100:] = 0
    before, after = discriminator(image).score, discriminator(other).score
    assert torch.equal(before[..., :6, :6], after[..., :6, :6])
    assert not torch.equal(before[..., -1, -1], after[..., -1, -1])


def test_gradients_reach_every_parameter():
    discriminator = build_discriminator(4)
    discriminator(torch.rand(2, 3, 64, 64)).score.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in discriminator.parameters())
