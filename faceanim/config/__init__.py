"""Typed parameters: one pydantic model per section of params.yaml.

Unknown keys and wrong types are refused by name. Nothing is read on import. A key has a default where the
shipped profiles agree or the paper has a value; a profile may override it. Defaults are literals, and never
tuples, because DVC reads them from the source. Imports `errors` and `tables`.
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
