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
from faceanim.datasets.animation import PairBatch, unknown_truth
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
WITH_LANDMARKS = ANIMATION.model_copy(
    update={"encoder": "plain", "landmarks": "dlib", "generator": "painter", "max_residual": 0.1}
)
"""Networks that landmarks move, too, and that paint from the source's features."""
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
    """Generate pairs of noise frames, with positions for their guided keypoints and landmarks."""
    source, driving = torch.rand(2, batch, 3, size, size)
    source_guides, driving_guides = torch.rand(2, batch, guides, 2) * 2 - 1
    source_landmarks, driving_landmarks = torch.rand(2, batch, 68, 2) * 2 - 1
    grid, visible = unknown_truth(batch, 0)
    return PairBatch(
        source,
        driving,
        source_guides,
        driving_guides,
        source_landmarks,
        driving_landmarks,
        grid,
        visible,
    )


def save_models(
    folder: Path,
    seed: int = 0,
    encoder: Literal["resnet18", "plain"] = "resnet18",
    landmarks: Literal["dlib", "mediapipe"] | None = None,
) -> Path:
    """Write untrained networks in the layout of trained ones; those with a plain encoder load faster.

    Args:
        folder: folder to write to.
        seed: seed of the weights.
        encoder: encoder of the keypoint detector.
        landmarks: detector of the landmarks; None: keypoints alone.
    """
    torch.manual_seed(seed)
    animation = ANIMATION.model_copy(update={"encoder": encoder})
    if landmarks is not None:
        animation = WITH_LANDMARKS.model_copy(update={"landmarks": landmarks})
    save_animation(build_animation(animation), animation, folder / "animation")
    save_super_resolution(
        build_super_resolution(SUPER_RESOLUTION), SUPER_RESOLUTION, folder / "super_resolution"
    )
    return folder
