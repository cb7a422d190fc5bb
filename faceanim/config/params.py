"""The whole of params.yaml: reading it, and the profiles that it may be a copy of."""

import codecs
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

    @model_validator(mode="after")
    def _check_landmarks(self) -> "Params":
        name = self.train_animation.model.landmarks
        if name not in (None, self.landmarks.detector):
            raise ValueError(
                f"train_animation.model.landmarks is {name}, but landmarks.detector is "
                f"{self.landmarks.detector}: a model is driven by the detector that it learned from"
            )
        return self


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and validate params.yaml.

    Raises:
        FaceanimError: the file is missing, is not a YAML mapping, or has an unknown key, a wrong type or a
            value out of range; the message names the key.
    """
    data = _parse_yaml(_read_text(path), path)
    if data is None:
        raise FaceanimError(f"{path} is empty; `faceanim profile sample` writes one")
    if not isinstance(data, dict):
        raise FaceanimError(f"{path} has no sections; `faceanim profile sample` writes a complete file")
    try:
        # As JSON, a list may become a tuple while `strict` still refuses "3" for 3. YAML's dates become text.
        return Params.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        raise FaceanimError(f"{path}: {format_validation_error(error)}") from None
    except (TypeError, ValueError) as error:  # a key that is a list, or a section that contains itself
        raise FaceanimError(f"{path} is not YAML that JSON can express: {error}") from None


def _read_text(path: Path) -> str:
    """Read a text file; DVC reads params.yaml as UTF-8, so that no other encoding is accepted here.

    Raises:
        FaceanimError: the file is missing, cannot be read, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FaceanimError(f"{path} is missing; `faceanim profile sample` writes one") from None
    except OSError as error:
        raise FaceanimError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 0 in content:
        raise FaceanimError(f"{path} is not UTF-8, but probably UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise FaceanimError(
            f"line {number} of {path} has a character that is not UTF-8; save it as UTF-8"
        ) from None


def _parse_yaml(text: str, path: Path) -> Any:
    """Parse YAML.

    Raises:
        FaceanimError: the text is not YAML; a tab in an indentation is named, since editors do not show it.
    """
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        for number, line in enumerate(text.splitlines(), start=1):
            if "\t" in line[: len(line) - len(line.lstrip())]:
                raise FaceanimError(
                    f"line {number} of {path} is indented with a tab; YAML needs spaces"
                ) from None
        raise FaceanimError(f"{path} is not YAML: {' '.join(str(error).split())}") from None


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
