"""The only place that puts the networks together from their configuration."""

from faceanim.config import AnimationModelConfig, SuperResolutionModelConfig
from faceanim.models.animation import AnimationModel
from faceanim.models.dense_motion import DenseMotion
from faceanim.models.discriminator import Discriminator
from faceanim.models.generator import Generator
from faceanim.models.keypoints import KeypointDetector, keypoint_unet
from faceanim.models.layers import Hourglass
from faceanim.models.super_resolution import SuperResolution


def build_animation(config: AnimationModelConfig) -> AnimationModel:
    """The animation model with random weights, in training mode."""
    unet = keypoint_unet(config.encoder, config.decoder_channels, config.keypoints)
    motion = Hourglass(4 * (config.keypoints + 1), config.motion_channels, config.motion_blocks)
    painter = Hourglass(5, config.generator_channels, config.generator_downs, config.generator_blocks)
    return AnimationModel(
        keypoint_detector=KeypointDetector(unet, config.temperature),
        dense_motion=DenseMotion(motion, config.keypoints, config.kp_variance),
        generator=Generator(painter),
        motion_size=config.motion_size,
    )


def build_super_resolution(config: SuperResolutionModelConfig) -> SuperResolution:
    """The super-resolution network with random weights, in training mode."""
    return SuperResolution(config.factor, config.channels, config.generated_strength)


def build_discriminator(channels: int) -> Discriminator:
    """The discriminator with random weights, in training mode."""
    return Discriminator(channels)
