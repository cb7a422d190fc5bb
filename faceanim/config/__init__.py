"""Typed parameters: one pydantic model per section of params.yaml.

Unknown keys and wrong types are refused by name. Nothing is read on import, and no field has a default:
params.yaml is the only place where a value stands.
"""

from faceanim.config.base import Section, format_validation_error
from faceanim.config.data import CropConfig, DownloadConfig, IndexConfig, LandmarksConfig, RunConfig
from faceanim.config.params import EvaluateConfig, Params, RegisterConfig, load_params
from faceanim.config.training import (
    GUIDED_KEYPOINTS,
    AnimationModelConfig,
    AugmentConfig,
    DegradeConfig,
    EngineConfig,
    LossWeights,
    OptimizerConfig,
    SuperResolutionModelConfig,
    TrainAnimationConfig,
    TrainSuperResolutionConfig,
)

__all__ = [
    "GUIDED_KEYPOINTS",
    "AnimationModelConfig",
    "AugmentConfig",
    "CropConfig",
    "DegradeConfig",
    "DownloadConfig",
    "EngineConfig",
    "EvaluateConfig",
    "IndexConfig",
    "LandmarksConfig",
    "LossWeights",
    "OptimizerConfig",
    "Params",
    "RegisterConfig",
    "RunConfig",
    "Section",
    "SuperResolutionModelConfig",
    "TrainAnimationConfig",
    "TrainSuperResolutionConfig",
    "format_validation_error",
    "load_params",
]
