"""Assembly of the networks from their configuration, which happens only here."""

from faceanim.config import AnimationModelConfig, SuperResolutionModelConfig
from faceanim.models.animation import AnimationModel
from faceanim.models.dense_motion import DenseMotion
from faceanim.models.discriminator import Discriminator
from faceanim.models.generator import Generator
from faceanim.models.keypoints import KeypointDetector, build_keypoint_unet
from faceanim.models.layers import Hourglass
from faceanim.models.super_resolution import SuperResolution

MAX_CHANNELS = 512


def build_animation(config: AnimationModelConfig) -> AnimationModel:
    """Build the animation model with random weights, in training mode."""
    maps = config.num_keypoints * (5 if config.jacobians else 1)
    unet = build_keypoint_unet(config.encoder, config.decoder_channels, maps)
    motion = Hourglass(
        4 * (config.num_keypoints + 1), double_channels(config.motion_channels, config.motion_blocks)
    )
    refinement = Hourglass(
        5, double_channels(config.generator_channels, config.generator_downs), config.generator_blocks
    )
    return AnimationModel(
        keypoint_detector=KeypointDetector(unet, config.num_keypoints, config.temperature),
        dense_motion=DenseMotion(motion, config.num_keypoints, config.kp_variance),
        generator=Generator(refinement),
        keypoint_size=config.keypoint_size,
        motion_size=config.motion_size,
    )


def double_channels(channels: int, downs: int) -> list[int]:
    """Return the channels of an hourglass's levels: doubled at each halving, up to `MAX_CHANNELS`."""
    return [min(MAX_CHANNELS, channels * 2**level) for level in range(downs + 1)]


def build_super_resolution(config: SuperResolutionModelConfig) -> SuperResolution:
    """Build the super-resolution network with random weights, in training mode."""
    return SuperResolution(config.factor, config.channels, config.generated_strength)


def build_discriminator(channels: int) -> Discriminator:
    """Build the discriminator with random weights, in training mode."""
    return Discriminator(channels)
