"""Configurations of tiny models, which build in a fraction of a second."""

from pathlib import Path
from typing import Literal

import torch

from faceanim.config import (
    AnimationModelConfig,
    AugmentConfig,
    LossWeights,
    SuperResolutionModelConfig,
)
from faceanim.datasets.animation import PairBatch
from faceanim.models.build import build_animation, build_super_resolution
from faceanim.models.storage import save_animation, save_super_resolution

ANIMATION = AnimationModelConfig(
    size=64,
    num_keypoints=4,
    jacobians=False,
    keypoint_size=64,
    motion_size=64,
    encoder="resnet18",
    decoder_channels=(16, 8, 8, 8, 8),
    temperature=0.1,
    kp_variance=0.01,
    motion_channels=4,
    motion_blocks=1,
    generator_channels=4,
    generator_downs=1,
    generator_blocks=1,
)
NO_LOSSES = LossWeights(
    perceptual=0.0,
    perceptual_scales=1,
    pixel=0.0,
    adversarial=0.0,
    feature_matching=0.0,
    equivariance=0.0,
    jacobian=0.0,
    landmarks=0.0,
)
UNCHANGED = AugmentConfig(mirror=False, rotation=0.0, scale=0.0, stretch=0.0, shift=0.0, color_jitter=0.0)
AUGMENT = AugmentConfig(mirror=True, rotation=10.0, scale=0.1, stretch=0.05, shift=0.05, color_jitter=0.2)
SUPER_RESOLUTION = SuperResolutionModelConfig(factor=2, channels=4, generated_strength=0.5)


def random_batch(batch: int = 2, size: int = 64, guides: int = 0) -> PairBatch:
    """Generate pairs of noise frames, with positions for their guided keypoints."""
    frames = torch.rand(2, batch, 3, size, size)
    places = torch.rand(2, batch, guides, 2) * 2 - 1
    return PairBatch(*frames, *places)


def save_models(folder: Path, seed: int = 0, encoder: Literal["resnet18", "plain"] = "resnet18") -> Path:
    """Write untrained networks in the layout of trained ones; those with a plain encoder load faster."""
    torch.manual_seed(seed)
    animation = ANIMATION.model_copy(update={"encoder": encoder})
    save_animation(build_animation(animation), animation, folder / "animation")
    save_super_resolution(
        build_super_resolution(SUPER_RESOLUTION), SUPER_RESOLUTION, folder / "super_resolution"
    )
    return folder
