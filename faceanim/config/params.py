"""The whole of params.yaml, and reading it."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from faceanim.config.base import NonNegative, Positive, Section, format_validation_error
from faceanim.config.data import CropConfig, DownloadConfig, IndexConfig, LandmarksConfig, RunConfig
from faceanim.config.training import TrainAnimationConfig, TrainSuperResolutionConfig
from faceanim.errors import FaceanimError
from faceanim.tables import atomic_path


def apply_profile(name: str, profiles: Path = Path("profiles"), params: Path = Path("params.yaml")) -> None:
    """Make `params` a copy of the profile of that name, once it has been checked.

    Raises:
        FaceanimError: there is no such profile, or it is not valid.
    """
    source = profiles / f"{name}.yaml"
    known = sorted(path.stem for path in profiles.glob("*.yaml"))
    if name not in known:
        raise FaceanimError(f"no profile is called {name!r}; {profiles}/ has {', '.join(known) or 'none'}")
    load_params(source)
    with atomic_path(params) as temporary:
        temporary.write_bytes(source.read_bytes())


class EvaluateConfig(Section):
    """The pinned protocol leaves little to choose."""

    batch_size: Positive
    pictures: Positive
    """Rows of the picture grid."""
    pairs: Annotated[int, Field(ge=0)]
    """How many test clips drive another person's first frame, at most."""
    fetch: bool
    """Whether weights that measure (AlexNet for LPIPS, MediaPipe for the gaze) are fetched where they are not
    in the weights folder; else those metrics are left out."""


class RegisterConfig(Section):
    """Where the model goes and what makes one better."""

    model_name: str
    min_gain_db: NonNegative
    """PSNR, in dB, by which a version must be better than the champion for sure: the lower end of the 95 %
    interval of their difference, clip by clip on one test set, has to be above it."""


class Params(Section):
    """The whole of params.yaml."""

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
    def _sizes_chain(self) -> "Params":
        made = self.train_animation.model.size * self.train_sr.model.factor
        if self.crop.size != made:
            raise ValueError(
                f"crop.size is {self.crop.size}, but train_animation.model.size times train_sr.model.factor "
                f"is {made}: super-resolved frames are scored against the crops"
            )
        return self


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml.

    Raises:
        FaceanimError: the file is missing, is no YAML mapping, or has an unknown key, a wrong type or a value
            out of range; the text names the key.
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


def detect_profile(params: Path = Path("params.yaml"), profiles: Path = Path("profiles")) -> str:
    """The shipped profile that the parameters are; CUSTOM where they are none, `invalid` if unreadable."""
    try:
        used = load_params(params)
        shipped = {path.stem: load_params(path) for path in sorted(profiles.glob("*.yaml"))}
    except FaceanimError:
        return "invalid"
    return next((name for name, values in shipped.items() if values == used), CUSTOM_PROFILE)


CUSTOM_PROFILE = "custom"
"""Stands for parameters that are no shipped profile."""
