"""Models small enough to build in a moment."""

from pathlib import Path

import torch

from faceanim.config import (
    AnimationModelConfig,
    DegradeConfig,
    SuperResolutionModelConfig,
    TrainSuperResolutionConfig,
)
from faceanim.models.build import build_animation, build_super_resolution
from faceanim.models.storage import save_animation, save_super_resolution

ANIMATION = AnimationModelConfig(
    size=64,
    keypoints=4,
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
SUPER_RESOLUTION = SuperResolutionModelConfig(factor=2, channels=4, generated_strength=0.5)
TRAIN_SUPER_RESOLUTION = TrainSuperResolutionConfig(
    seed=0,
    steps=6,
    batch_size=2,
    lr=1e-3,
    generated_share=0.5,
    keypoint_noise=0.02,
    degrade=DegradeConfig(
        blur_sigma=0.8,
        kernels=("area", "bicubic", "bilinear"),
        noise=0.01,
        h264_share=0.5,
        h264_crf=(18, 34),
    ),
    log_every=3,
    checkpoint_every=2,
    model=SUPER_RESOLUTION,
)


def save_models(folder: Path, seed: int = 0) -> Path:
    """Write untrained networks, as the stages write trained ones."""
    torch.manual_seed(seed)
    save_animation(build_animation(ANIMATION), ANIMATION, folder / "animation")
    save_super_resolution(
        build_super_resolution(SUPER_RESOLUTION), SUPER_RESOLUTION, folder / "super_resolution"
    )
    return folder
