"""Parameters of the networks and of their trainings."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from faceanim.config.base import NonNegative, Positive, Section, UnitInterval

GUIDED_KEYPOINTS = 10
"""Keypoints that the landmarks can guide; `faceanim.faces.landmark_sets` says by which."""

ConstantRateFactor = Annotated[int, Field(ge=0, le=51)]


class AnimationModelConfig(Section):
    """Shape of the animation network (figure 2)."""

    size: Positive
    """Side of the frames, in pixels."""
    keypoints: Positive
    jacobians: bool
    """Each keypoint moves its surroundings by an affine motion (Siarohin et al., 2019), not a translation."""
    keypoint_size: Positive
    """Side of the frames on which keypoints are found, in pixels."""
    motion_size: Positive
    """Side of those on which dense motion is found."""
    encoder: Literal["resnet18", "resnet34", "resnet50", "plain"]
    """Of the keypoint detector; `plain` has the decoder's channels, and learns faster without ImageNet."""
    decoder_channels: tuple[Positive, Positive, Positive, Positive, Positive]
    """Of the keypoint detector's levels on the way up, the smallest first."""
    temperature: Annotated[float, Field(gt=0)]
    """Softmax temperature of the keypoint heatmaps."""
    kp_variance: Annotated[float, Field(gt=0)]
    """Variance of the Gaussians drawn at the keypoints, in units of [-1, 1]."""
    motion_channels: Positive
    motion_blocks: Positive
    generator_channels: Positive
    generator_downs: Positive
    generator_blocks: Positive

    @model_validator(mode="after")
    def _sizes_fit(self) -> "AnimationModelConfig":
        halvings = {
            "keypoint_size": 4 if self.encoder == "plain" else 5,
            "motion_size": self.motion_blocks,
            "size": self.generator_downs,
        }
        for name, times in halvings.items():
            side = getattr(self, name)
            if side % 2**times:
                raise ValueError(f"{name} must be a multiple of {2**times}: it is halved {times} times")
            if self.size % side:
                raise ValueError(f"size must be a multiple of {name}")
        return self


class LossWeights(Section):
    """Weights of the terms of eq. 6, and of what later work adds; 0 switches a term off."""

    perceptual: NonNegative
    """Eq. 3, on VGG-19; needs its weights."""
    perceptual_scales: Annotated[int, Field(ge=1, le=4)]
    """Images of the pyramid over which eq. 3 is summed; 1 is the paper's."""
    pixel: NonNegative
    """L1 on an image pyramid: what stands in where VGG-19's weights can't be had."""
    adversarial: NonNegative
    """Eq. 5."""
    feature_matching: NonNegative
    """The discriminator's features of the prediction are those of the driving frame; needs `adversarial`."""
    equivariance: NonNegative
    """Keypoints follow a known warp (Siarohin et al., 2019, eq. 9)."""
    jacobian: NonNegative
    """Their jacobians do too (eq. 11); needs `model.jacobians` and `equivariance`."""
    landmarks: NonNegative
    """Ten keypoints lie on the cached landmarks of eyes, mouth, nose, chin and jaw."""


class OptimizerConfig(Section):
    """SWATS (Keskar & Socher, 2017): Adam that switches to SGD."""

    name: Literal["swats", "adam"]
    lr: Annotated[float, Field(gt=0)]
    beta1: UnitInterval
    beta2: UnitInterval
    swats_eps: Annotated[float, Field(gt=0)]
    """The switch happens once the learned rate's bias-corrected mean is this close to the present one, as a
    share of it, and not before the mean has run over 1 / (1 - beta2) steps."""
    sgd_lr_cap: Annotated[float, Field(gt=0)]
    """Largest rate the SGD phase may learn."""


class AugmentConfig(Section):
    """How training pairs are varied, both frames alike; 0 and false leave them as they are."""

    mirror: bool
    """Left and right change in half of the pairs."""
    rotation: NonNegative
    """Largest turn, in degrees."""
    scale: NonNegative
    """Largest growth, and its inverse the largest shrinkage: 0.1 is 10 %."""
    stretch: NonNegative
    """The same of the width alone."""
    shift: UnitInterval
    """Largest shift, as a share of the side."""
    colour: UnitInterval
    """Changes of light and skin: gamma, gain and offset."""


class EngineConfig(Section):
    """How a network is trained, whatever it is."""

    precision: Literal["fp32", "bf16"]
    """`bf16`: weights and losses stay in float32, what lies between is computed in bfloat16."""
    compile: bool
    """Let torch compile the networks: minutes at the start, faster steps on a GPU."""
    accumulate: Positive
    """Parts into which each process cuts its share of a batch, one after the other, to save memory."""
    clip_norm: NonNegative
    """Largest norm of a network's gradient; 0: any."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    """The result is the average of the weights over about 1 / (1 - ema_decay) steps; 0: the last weights."""
    log_every: Positive
    """Steps averaged in a row of the curves."""
    pictures_every: Positive
    """Steps between the pictures that go to MLflow."""
    checkpoint_every: Positive
    keep_checkpoints: Positive
    """Checkpoints kept of a run that is under way; the older ones stand in for a damaged one."""


class TrainAnimationConfig(Section):
    """Training of keypoint detector, dense motion, generator and discriminator."""

    seed: Annotated[int, Field(ge=0)]
    steps: Positive
    batch_size: Positive
    """Samples of a step, of all processes together."""
    encoder_weights: Literal["imagenet", "none"]
    pair_candidates: Positive
    """Driving frames drawn for a pair, of which the one farthest from the source is taken; 1 is the paper."""
    augment: AugmentConfig
    losses: LossWeights
    optimizer: OptimizerConfig
    discriminator_channels: Positive
    engine: EngineConfig
    model: AnimationModelConfig

    @model_validator(mode="after")
    def _losses_have_what_they_need(self) -> "TrainAnimationConfig":
        losses = self.losses
        if losses.jacobian > 0 and not (self.model.jacobians and losses.equivariance > 0):
            raise ValueError("losses.jacobian needs model.jacobians and losses.equivariance")
        if losses.feature_matching > 0 and losses.adversarial == 0:
            raise ValueError("losses.feature_matching needs losses.adversarial")
        if self.encoder_weights == "imagenet" and self.model.encoder == "plain":
            raise ValueError("encoder_weights: ImageNet has none for the plain encoder")
        if losses.landmarks > 0 and self.model.keypoints < GUIDED_KEYPOINTS:
            raise ValueError(f"losses.landmarks needs model.keypoints to be {GUIDED_KEYPOINTS} or more")
        return self


class SuperResolutionModelConfig(Section):
    """Shape of the super-resolution network (figure 3)."""

    factor: Literal[1, 2, 4]
    """Output side over input side."""
    channels: Positive
    """Channels of the first of the five levels."""
    generated_strength: UnitInterval | None
    """Generated frames have a last layer of their own, and this share of what it adds is added outside
    training: it fits the people trained on better than others, and half of it keeps most of the gain. null:
    they are restored as crops are, the paper's way."""


class DegradeConfig(Section):
    """What a crop loses before it is to be restored: of each, a random degree up to the one given here."""

    blur_sigma: NonNegative
    """Largest standard deviation of the Gaussian blur, in the crop's pixels."""
    kernels: Annotated[tuple[Literal["area", "bicubic", "bilinear"], ...], Field(min_length=1)]
    """Ways to shrink, one of them at random; without effect where super-resolution's factor is 1."""
    noise: NonNegative
    """Largest standard deviation of the noise on the shrunk crop, of 1."""
    h264_share: UnitInterval
    """Share of the crops that are coded as H.264."""
    h264_crf: tuple[ConstantRateFactor, ConstantRateFactor]
    """Lowest and highest constant rate factor; x264's own is 23."""

    @model_validator(mode="after")
    def _crf_in_order(self) -> "DegradeConfig":
        if self.h264_crf[0] > self.h264_crf[1]:
            raise ValueError("h264_crf must be the lowest, then the highest")
        return self


class TrainSuperResolutionConfig(Section):
    """Training of the super-resolution network on degraded crops and on the generator's frames (eq. 7)."""

    seed: Annotated[int, Field(ge=0)]
    steps: Positive
    batch_size: Positive
    """Samples of a step, of all processes together."""
    lr: Annotated[float, Field(gt=0)]
    """The highest rate, reached after a tenth of the steps; from there it falls along half a cosine."""
    colour: UnitInterval
    """Changes of light and skin, as in `AugmentConfig`."""
    generated_share: UnitInterval
    """Share of the frames that are restored from what the animation model makes of another frame of the
    crop; the others are restored from degraded crops."""
    keypoint_noise: NonNegative
    """Largest standard deviation of the noise on those frames' driving keypoints, in units of [-1, 1]: on
    people that it was not trained on, the animation model errs more."""
    degrade: DegradeConfig
    engine: EngineConfig
    model: SuperResolutionModelConfig

    @model_validator(mode="after")
    def _generated_frames_are_learnt_from(self) -> "TrainSuperResolutionConfig":
        if self.model.generated_strength is not None and self.generated_share == 0:
            raise ValueError("model.generated_strength needs a generated_share above 0, or is null")
        return self
