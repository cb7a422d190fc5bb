"""The whole of params.yaml: reading it, and the profiles that it may be a copy of."""

import json
from pathlib import Path
from typing import Any

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from faceanim.config.base import Section, format_validation_error
from faceanim.config.data import CropConfig, DownloadConfig, IndexConfig, LandmarksConfig, RunConfig
from faceanim.config.training import TrainAnimationConfig, TrainSuperResolutionConfig
from faceanim.errors import FaceanimError
from faceanim.tables import atomic_path

CUSTOM_PROFILE = "custom"
"""Name of parameters that equal no profile."""
PROFILES = Path("profiles")
"""Folder of a project's profiles, which add to the shipped ones and replace those of the same name."""
_INSTALLED_PROFILES = Path(__file__).parent / PROFILES
_SHIPPED_PROFILES = (
    _INSTALLED_PROFILES if _INSTALLED_PROFILES.is_dir() else Path(__file__).parents[2] / PROFILES
)
"""Folder of the shipped profiles: that of the wheel, or else that of the checkout."""


class EvaluateConfig(Section):
    """Settings that the pinned evaluation protocol leaves open."""

    batch_size: PositiveInt = 16
    """Frames predicted at once."""
    pictures: PositiveInt = 6
    """Rows of the image grid."""
    pairs: NonNegativeInt
    """Largest number of test clips that drive the first frame of another person."""
    fetch: bool
    """Download missing weights of metrics (AlexNet for LPIPS, MediaPipe for the gaze). Otherwise they are
    left out."""


class RegisterConfig(Section):
    """Registration of a model, and the criterion for a new champion."""

    model_name: str
    """Name of the registered model in MLflow."""
    min_gain_db: NonNegativeFloat = 0.0
    """PSNR, in dB, by which a version must surpass the champion: the lower end of the 95 % interval of their
    difference, clip by clip on one test set, must exceed it."""


class Params(Section):
    """All sections of params.yaml."""

    run: RunConfig
    index: IndexConfig
    download: DownloadConfig
    crop: CropConfig
    landmarks: LandmarksConfig
    train_animation: TrainAnimationConfig
    train_sr: TrainSuperResolutionConfig
    evaluate: EvaluateConfig
    register_: RegisterConfig = Field(alias="register")

    @model_validator(mode="after")
    def _check_sizes(self) -> "Params":
        side = self.train_animation.model.size * self.train_sr.model.factor
        if self.crop.size != side:
            raise ValueError(
                f"crop.size is {self.crop.size}, but train_animation.model.size times train_sr.model.factor "
                f"is {side}: super-resolved frames are scored against the crops"
            )
        return self


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and validate params.yaml.

    Raises:
        FaceanimError: the file is missing, is not a YAML mapping, or has an unknown key, a wrong type or a
            value out of range; the message names the key.
    """
    try:
        data: Any = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FaceanimError(f"{path} is missing; `faceanim profile sample` writes one") from None
    except YAMLError as error:
        raise FaceanimError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    try:
        # As JSON, a list may become a tuple while `strict` still refuses "3" for 3.
        return Params.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise FaceanimError(f"{path}: {format_validation_error(error)}") from None


def find_profiles(profiles: Path = PROFILES) -> dict[str, Path]:
    """Find the files of all profiles by name, sorted: the shipped ones and those of the folder `profiles`."""
    folders = (_SHIPPED_PROFILES, profiles)
    found = {path.stem: path for folder in folders for path in folder.glob("*.yaml")}
    return dict(sorted(found.items()))


def apply_profile(name: str, profiles: Path = PROFILES, params: Path = Path("params.yaml")) -> None:
    """Copy a profile to `params`, after validating it.

    Raises:
        FaceanimError: the profile does not exist or is invalid.
    """
    known = find_profiles(profiles)
    if name not in known:
        raise FaceanimError(f"unknown profile {name!r}; the profiles are {', '.join(known)}")
    load_params(known[name])
    with atomic_path(params) as temporary:
        temporary.write_bytes(known[name].read_bytes())


def detect_profile(params: Path = Path("params.yaml"), profiles: Path = PROFILES) -> str:
    """Find the profile that the parameters equal: its name, CUSTOM_PROFILE, or `invalid`."""
    try:
        used = load_params(params)
        known = {name: load_params(path) for name, path in find_profiles(profiles).items()}
    except FaceanimError:
        return "invalid"
    return next((name for name, values in known.items() if values == used), CUSTOM_PROFILE)
