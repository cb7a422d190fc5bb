"""Parameters of the networks and of their trainings.

Defaults follow the paper: what later work adds is off unless a profile asks for it.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from faceanim.config.base import Section, UnitInterval

GUIDED_KEYPOINTS = 10
"""Number of keypoints that landmarks can guide; `faceanim.faces.landmark_sets` defines by which."""

ConstantRateFactor = Annotated[int, Field(ge=0, le=51)]


class AnimationModelConfig(Section):
    """Shape of the animation network (figure 2)."""

    size: PositiveInt
    """Side of the frames, in pixels."""
    num_keypoints: PositiveInt = 10
    """Number of keypoints."""
    jacobians: bool = False
    """Give each keypoint an affine motion of its neighborhood (Siarohin et al., 2019) instead of a
    translation."""
    landmarks: Literal["dlib", "mediapipe"] | None = None
    """Detector of the landmarks that move the face beside the keypoints, the one of the section `landmarks`;
    null: keypoints alone, as in the paper."""
    keypoint_size: PositiveInt = 64
    """Side of the frames on which keypoints are detected, in pixels."""
    motion_size: PositiveInt
    """Side of the frames on which dense motion is predicted, in pixels."""
    field_size: PositiveInt | None = None
    """Side of the deformation, if finer than the frames on which it is predicted; null: `motion_size`."""
    encoder: Literal["resnet18", "resnet34", "resnet50", "plain"]
    """Encoder of the keypoint detector; `plain` has the decoder's channels, and learns faster where ImageNet
    weights are unavailable."""
    decoder_channels: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt, PositiveInt]
    """Channels of the keypoint detector's decoder levels, from the smallest resolution up."""
    temperature: PositiveFloat = 0.1
    """Softmax temperature of the keypoint heatmaps."""
    kp_variance: PositiveFloat = 0.01
    """Variance of the Gaussians rendered at the keypoints, in units of [-1, 1]."""
    motion_channels: PositiveInt
    """Channels of the first level of the dense motion network."""
    motion_blocks: PositiveInt
    """Levels of the dense motion network; each halves the resolution."""
    max_residual: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Largest motion that the dense motion network adds to those of keypoints and landmarks, in units of
    [-1, 1]; the paper: none."""
    generator: Literal["refiner", "painter"] = "refiner"
    """`refiner`: the paper's, which sees the warped source; `painter`: one that warps the source's features
    at several scales, with masks of the dense motion network."""
    generator_channels: PositiveInt
    """Channels of the first level of the generator."""
    generator_downs: PositiveInt = 2
    """Downsampling steps of the generator; the painter has one scale more."""
    generator_blocks: PositiveInt
    """Residual blocks of the generator."""

    @model_validator(mode="after")
    def _check_sizes(self) -> "AnimationModelConfig":
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
    """Weights of the terms of eq. 6 and of the terms that later work adds; 0 disables a term."""

    perceptual: NonNegativeFloat
    """Eq. 3, on VGG-19; needs its weights."""
    perceptual_scales: Annotated[int, Field(ge=1, le=4)] = 1
    """Levels of the image pyramid over which eq. 3 is summed; the paper has 1."""
    pixel: NonNegativeFloat
    """L1 on an image pyramid, a substitute for `perceptual` where VGG-19's weights are unavailable."""
    adversarial: NonNegativeFloat
    """Eq. 5."""
    feature_matching: NonNegativeFloat = 0.0
    """L1 between the discriminator's features of prediction and driving frame; needs `adversarial`."""
    equivariance: NonNegativeFloat = 0.0
    """Keypoints follow a known warp (Siarohin et al., 2019, eq. 9)."""
    jacobian: NonNegativeFloat = 0.0
    """Jacobians follow a known warp (eq. 11); needs `model.jacobians` and `equivariance`."""
    warped: NonNegativeFloat = 0.0
    """L1 on an image pyramid of the warped source, which keeps the generator from doing the warp's work."""
    painted: NonNegativeFloat = 0.0
    """Squared error of the painting and of the prediction, relative to that of the warp, which teaches the
    painting also where the mask still shows the warp."""
    feature_warp: NonNegativeFloat = 0.0
    """L1 between the source's warped features and the driving frame's (Zhao & Zhang, 2022); needs
    `model.generator: painter`."""
    flow: NonNegativeFloat = 0.0
    """L1 between the motion and the true one of rendered pairs, where the source shows the pixel."""
    visibility: NonNegativeFloat = 0.0
    """Cross entropy of the masks with the true visibility of rendered pairs; needs `painter`."""
    focus: NonNegativeFloat = 0.0
    """Weight added to the pixels of mouth and eyes in `pixel` and `warped`; above 0, they also decide most of
    `painted`."""
    landmarks: NonNegativeFloat
    """Ten keypoints lie on the cached landmarks of eyes, mouth, nose, chin and jaw."""


class OptimizerConfig(Section):
    """SWATS (Keskar & Socher, 2017), which is Adam that switches to SGD, or Adam alone."""

    name: Literal["swats", "adam"] = "swats"
    """`adam` never switches."""
    decay: Literal["none", "cosine"] = "none"
    """`cosine`: the rate of `adam` falls to 0 along half a cosine over the steps of the run."""
    lr: PositiveFloat
    """Learning rate of Adam."""
    beta1: UnitInterval
    """Decay of Adam's mean of the gradients."""
    beta2: UnitInterval
    """Decay of Adam's mean of the squared gradients, and of the estimate of SGD's learning rate."""
    swats_eps: PositiveFloat
    """SWATS switches once the bias-corrected mean of the estimated SGD rate is within this fraction of the
    present estimate, and not before the mean covers 1 / (1 - beta2) steps."""
    sgd_lr_cap: PositiveFloat = 0.1
    """Upper limit of the estimated SGD rate."""


class AugmentConfig(Section):
    """Augmentation of training pairs, the same for both frames; 0 and false leave a pair unchanged. Rendered
    pairs take `color_jitter` only."""

    mirror: bool = False
    """Flip half of the pairs horizontally."""
    rotation: NonNegativeFloat = 0.0
    """Largest rotation, in degrees."""
    scale: NonNegativeFloat = 0.0
    """Largest enlargement, and its inverse the largest reduction: 0.1 is 10 %."""
    stretch: NonNegativeFloat = 0.0
    """The same for the width alone."""
    shift: UnitInterval = 0.0
    """Largest shift, as a fraction of the side."""
    color_jitter: UnitInterval = 0.0
    """Strength of random changes of gamma, gain and offset, which vary light and skin."""


class EngineConfig(Section):
    """Execution of a training, whatever the network."""

    precision: Literal["fp32", "bf16"] = "fp32"
    """`bf16`: weights and losses stay in float32, everything between is computed in bfloat16."""
    compile: bool = False
    """Compile the networks with torch.compile: minutes at the start, faster steps on a GPU."""
    accumulate_grad_batches: PositiveInt = 1
    """Parts into which each process splits its share of a batch, computed one after another to save
    memory."""
    clip_norm: NonNegativeFloat
    """Largest norm of a network's gradient; 0: unlimited."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The result is the average of the weights over about 1 / (1 - ema_decay) steps; 0: the last weights."""
    log_every: PositiveInt = 100
    """Steps averaged in a row of the curves."""
    pictures_every: PositiveInt = 1000
    """Steps between the sample images logged to MLflow."""
    checkpoint_every: PositiveInt = 1000
    """Steps between checkpoints."""
    keep_checkpoints: PositiveInt = 2
    """Checkpoints kept of a run in progress; older ones replace one that is damaged."""


class TrainAnimationConfig(Section):
    """Training of keypoint detector, dense motion, generator and discriminator."""

    seed: NonNegativeInt = 0
    """Seed of every random choice."""
    steps: PositiveInt
    """Training steps."""
    batch_size: PositiveInt
    """Samples of a step, over all processes."""
    encoder_weights: Literal["imagenet", "none"]
    """Initial weights of the keypoint detector's encoder."""
    rendered_prob: UnitInterval = 0.0
    """Fraction of the pairs of each batch that are rendered, with exact motion and visibility."""
    landmark_dropout: UnitInterval = 0.0
    """Probability that a pair's landmarks are withheld, so that the keypoints learn to do alone."""
    num_driving_candidates: PositiveInt = 1
    """Driving frames sampled for a pair, of which the one farthest from the source is used; the paper: 1."""
    augment: AugmentConfig
    losses: LossWeights
    optimizer: OptimizerConfig
    discriminator_channels: PositiveInt
    """Channels of the first layer of the discriminator."""
    engine: EngineConfig
    model: AnimationModelConfig

    @model_validator(mode="after")
    def _check_losses(self) -> "TrainAnimationConfig":
        losses = self.losses
        if self.optimizer.decay != "none" and self.optimizer.name != "adam":
            raise ValueError("optimizer.decay needs optimizer.name: adam")
        if losses.jacobian > 0 and not (self.model.jacobians and losses.equivariance > 0):
            raise ValueError("losses.jacobian needs model.jacobians and losses.equivariance")
        if losses.feature_matching > 0 and losses.adversarial == 0:
            raise ValueError("losses.feature_matching needs losses.adversarial")
        if self.encoder_weights == "imagenet" and self.model.encoder == "plain":
            raise ValueError("encoder_weights: there are no ImageNet weights for the plain encoder")
        if losses.landmarks > 0 and self.model.num_keypoints < GUIDED_KEYPOINTS:
            raise ValueError(f"losses.landmarks needs model.num_keypoints to be {GUIDED_KEYPOINTS} or more")
        return self

    @model_validator(mode="after")
    def _check_prerequisites(self) -> "TrainAnimationConfig":
        losses, model = self.losses, self.model
        prerequisites = (
            (
                "losses.feature_warp",
                losses.feature_warp,
                "model.generator: painter",
                model.generator == "painter",
            ),
            (
                "losses.visibility",
                losses.visibility,
                "model.generator: painter",
                model.generator == "painter",
            ),
            ("losses.visibility", losses.visibility, "rendered_prob above 0", self.rendered_prob > 0),
            ("losses.flow", losses.flow, "rendered_prob above 0", self.rendered_prob > 0),
            ("losses.focus", losses.focus, "model.landmarks", model.landmarks is not None),
            ("landmark_dropout", self.landmark_dropout, "model.landmarks", model.landmarks is not None),
        )
        for name, value, prerequisite, is_met in prerequisites:
            if value > 0 and not is_met:
                raise ValueError(f"{name} needs {prerequisite}")
        return self


class SuperResolutionModelConfig(Section):
    """Shape of the super-resolution network (figure 3)."""

    factor: Literal[1, 2, 4]
    """Output side over input side."""
    channels: PositiveInt
    """Channels of the first of the five levels."""
    generated_strength: UnitInterval | None
    """Generated frames have a separate last layer, of whose output this fraction is added outside training:
    the layer fits the people trained on better than others, and half of it keeps most of the gain. null:
    generated frames are restored like crops, as in the paper."""


class DegradeConfig(Section):
    """Degradation of crops that are then restored: each by a random degree up to the one given here."""

    blur_sigma: NonNegativeFloat
    """Largest standard deviation of the Gaussian blur, in pixels of the crop."""
    kernels: Annotated[tuple[Literal["area", "bicubic", "bilinear"], ...], Field(min_length=1)]
    """Interpolations for downscaling, one of them chosen at random; unused where `model.factor` is 1."""
    noise: NonNegativeFloat
    """Largest standard deviation of the noise on the downscaled crop, for values in [0, 1]."""
    h264_prob: UnitInterval = 0.5
    """Probability that a crop is compressed with H.264."""
    h264_crf: tuple[ConstantRateFactor, ConstantRateFactor]
    """Lowest and highest constant rate factor; x264's default is 23."""

    @model_validator(mode="after")
    def _check_crf_order(self) -> "DegradeConfig":
        if self.h264_crf[0] > self.h264_crf[1]:
            raise ValueError("h264_crf must be the lowest, then the highest")
        return self


class TrainSuperResolutionConfig(Section):
    """Training of the super-resolution network on degraded crops and on the generator's frames (eq. 7)."""

    seed: NonNegativeInt = 0
    """Seed of every random choice."""
    steps: PositiveInt
    """Training steps."""
    batch_size: PositiveInt
    """Samples of a step, over all processes."""
    lr: PositiveFloat
    """Peak learning rate, reached after a tenth of the steps; from there it decays along half a cosine."""
    color_jitter: UnitInterval = 0.0
    """As in `AugmentConfig`."""
    generated_prob: UnitInterval = 0.0
    """Probability that a frame is restored from the animation model's prediction of it, from another frame of
    its crop; the other frames are restored from degraded crops."""
    keypoint_noise: NonNegativeFloat = 0.0
    """Largest standard deviation of the noise on the driving keypoints of such predictions, in units of
    [-1, 1]: the animation model errs more on people that it was not trained on."""
    degrade: DegradeConfig
    engine: EngineConfig
    model: SuperResolutionModelConfig

    @model_validator(mode="after")
    def _check_generated_prob(self) -> "TrainSuperResolutionConfig":
        if self.model.generated_strength is not None and self.generated_prob == 0:
            raise ValueError("model.generated_strength needs a generated_prob above 0, or is null")
        return self
