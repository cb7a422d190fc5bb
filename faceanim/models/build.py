"""Assembly of the networks from their configuration, which happens only here."""

from faceanim.config import AnimationModelConfig, SuperResolutionModelConfig
from faceanim.models.animation import AnimationModel
from faceanim.models.dense_motion import DenseMotion, count_inputs
from faceanim.models.discriminator import Discriminator
from faceanim.models.generator import Generator
from faceanim.models.keypoints import KeypointDetector, build_keypoint_unet
from faceanim.models.layers import Hourglass
from faceanim.models.painter import Painter
from faceanim.models.super_resolution import SuperResolution

MAX_CHANNELS = 512


def build_animation(config: AnimationModelConfig) -> AnimationModel:
    """Build the animation model with random weights, in training mode."""
    maps = config.num_keypoints * (5 if config.jacobians else 1)
    unet = build_keypoint_unet(config.encoder, config.decoder_channels, maps)
    uses_landmarks = config.landmarks is not None
    generator = build_generator(config)
    motion = Hourglass(
        count_inputs(config.num_keypoints, uses_landmarks),
        double_channels(config.motion_channels, config.motion_blocks),
    )
    return AnimationModel(
        keypoint_detector=KeypointDetector(unet, config.num_keypoints, config.temperature),
        dense_motion=DenseMotion(
            motion,
            config.num_keypoints,
            config.kp_variance,
            uses_landmarks,
            generator.num_masks,
            config.max_residual,
            config.field_size,
        ),
        generator=generator,
        keypoint_size=config.keypoint_size,
        motion_size=config.motion_size,
    )


def build_generator(config: AnimationModelConfig) -> Generator | Painter:
    """Build the generator that the configuration names."""
    widths = double_channels(config.generator_channels, config.generator_downs)
    if config.generator == "refiner":
        return Generator(Hourglass(5, widths, config.generator_blocks))
    return Painter(widths, config.generator_blocks, config.landmarks is not None)


def double_channels(channels: int, downs: int) -> list[int]:
    """Return the channels of an hourglass's levels: doubled at each halving, up to `MAX_CHANNELS`."""
    return [min(MAX_CHANNELS, channels * 2**level) for level in range(downs + 1)]


def build_super_resolution(config: SuperResolutionModelConfig) -> SuperResolution:
    """Build the super-resolution network with random weights, in training mode."""
    return SuperResolution(config.factor, config.channels, config.generated_strength)


def build_discriminator(channels: int) -> Discriminator:
    """Build the discriminator with random weights, in training mode."""
    return Discriminator(channels)
