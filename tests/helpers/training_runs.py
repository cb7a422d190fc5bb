"""Training runs that take about a second."""

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
    # The checkpoints of a ResNet-18 are 130 MB each.
    model=ANIMATION.model_copy(update={"encoder": "plain", "keypoint_size": 32, "motion_size": 32}),
)
LANDMARK_RUN = ANIMATION_RUN.model_copy(
    update={
        "landmark_dropout": 0.25,
        "optimizer": ANIMATION_RUN.optimizer.model_copy(update={"name": "adam", "decay": "cosine"}),
        "model": ANIMATION_RUN.model.model_copy(
            update={"num_keypoints": 10, "landmarks": "dlib", "max_residual": 0.1, "generator": "painter"}
        ),
        "losses": NO_LOSSES.model_copy(
            update={
                "pixel": 10.0,
                "adversarial": 0.1,
                "warped": 1.0,
                "painted": 1.0,
                "feature_warp": 1.0,
                "focus": 1.0,
                "landmarks": 1.0,
            }
        ),
    }
)
"""A run with everything that goes beyond the paper; its crops need 68 landmarks."""
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
    """Return the configuration with changes to its engine."""
    return config.model_copy(update={"engine": config.engine.model_copy(update=changes)})


def context(on_step=lambda report: None, open_logger=lambda run_id: NullLogger(), workers=0):
    """Build the context of a training run."""
    return RunContext(workers, open_logger, on_step)


def train(config, data, folder, animation=None, **surroundings):
    """Run the training that the configuration is for and write its results to a folder.

    Args:
        config: configuration of the animation or of the super-resolution.
        data: crops.parquet and the folder of the landmarks.
        folder: output folder.
        animation: folder of the animation model whose frames super-resolution also learns from; it is read
            only if `generated_prob` is not 0.
        surroundings: arguments of `context`.
    """
    paths = folder / "model", folder / "history.csv", folder / "checkpoints"
    crops, landmarks = data
    if isinstance(config, TrainAnimationConfig):
        return train_animation(config, crops, landmarks, *paths, context(**surroundings))
    return train_super_resolution(config, crops, landmarks, animation, *paths, context(**surroundings))


def written(folder):
    """Read the bytes of the files that a run writes."""
    return {file: (folder / file).read_bytes() for file in WRITTEN}
