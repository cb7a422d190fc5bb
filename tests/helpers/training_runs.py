"""Trainings small enough to run in a moment."""

from faceanim.config import (
    DegradeConfig,
    EngineConfig,
    OptimizerConfig,
    TrainAnimationConfig,
    TrainSuperResolutionConfig,
)
from faceanim.progress import NullLogger
from faceanim.training.animation import train_animation
from faceanim.training.monitoring import RunContext
from faceanim.training.super_resolution import train_super_resolution
from tests.helpers.tiny import ANIMATION, AUGMENT, NO_LOSSES, SUPER_RESOLUTION

ENGINE = EngineConfig(
    precision="fp32",
    compile=False,
    accumulate_grad_batches=1,
    clip_norm=0.0,
    ema_decay=0.0,
    log_every=2,
    pictures_every=1000,
    checkpoint_every=2,
    keep_checkpoints=2,
)
ANIMATION_RUN = TrainAnimationConfig(
    seed=0,
    steps=6,
    batch_size=2,
    encoder_weights="none",
    num_driving_candidates=1,
    augment=AUGMENT,
    losses=NO_LOSSES.model_copy(update={"pixel": 10.0, "adversarial": 0.1, "equivariance": 1.0}),
    # The tolerance lets SWATS switch as soon as its mean is formed: in the middle of the run.
    optimizer=OptimizerConfig(name="swats", lr=1e-3, beta1=0.9, beta2=0.75, swats_eps=1e9, sgd_lr_cap=0.01),
    discriminator_channels=4,
    engine=ENGINE,
    model=ANIMATION.model_copy(update={"keypoint_size": 32, "motion_size": 32}),
)
SUPER_RESOLUTION_RUN = TrainSuperResolutionConfig(
    seed=0,
    steps=6,
    batch_size=2,
    lr=1e-3,
    color_jitter=0.1,
    generated_prob=0.0,
    keypoint_noise=0.02,
    degrade=DegradeConfig(
        blur_sigma=0.8,
        kernels=("area", "bicubic", "bilinear"),
        noise=0.01,
        h264_prob=0.5,
        h264_crf=(18, 34),
    ),
    engine=ENGINE,
    model=SUPER_RESOLUTION.model_copy(update={"generated_strength": None}),
)
WRITTEN = ("model/weights.safetensors", "model/config.json", "history.csv")


def engine(config, **changes):
    """A run with another engine."""
    return config.model_copy(update={"engine": config.engine.model_copy(update=changes)})


def context(on_step=lambda report: None, open_logger=lambda run_id: NullLogger(), workers=0):
    """Where a training of these tests runs."""
    return RunContext(workers, open_logger, on_step)


def train(config, data, folder, animation=None, **surroundings):
    """Train whatever the configuration is of, with the crops and landmarks of `data`, into a folder.

    `animation` is the model whose frames super-resolution learns from too, where it is asked to.
    """
    paths = folder / "model", folder / "history.csv", folder / "checkpoints"
    if isinstance(config, TrainAnimationConfig):
        return train_animation(config, *data, *paths, context(**surroundings))
    return train_super_resolution(config, data[0], animation, *paths, context(**surroundings))


def written(folder):
    """The bytes of what a run leaves."""
    return {file: (folder / file).read_bytes() for file in WRITTEN}
