"""Models stored as folders: `weights.safetensors`, and the `config.json` that the model is built from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from faceanim.config import AnimationModelConfig, Section, SuperResolutionModelConfig, format_validation_error
from faceanim.errors import FaceanimError
from faceanim.models.animation import AnimationModel
from faceanim.models.build import build_animation, build_super_resolution
from faceanim.models.pretrained import first_line
from faceanim.models.super_resolution import SuperResolution
from faceanim.tables import atomic_path

Config = TypeVar("Config", bound=Section)
Model = TypeVar("Model", bound=nn.Module)

WEIGHTS = "weights.safetensors"
CONFIG = "config.json"
STORED_KEYS = {"num_keypoints": "keypoints"}
"""Parameters that config.json stores under their names in release 0.1, so that models load across releases
and equal models have equal bytes."""


def save_animation(model: AnimationModel, config: AnimationModelConfig, folder: Path) -> None:
    """Save an animation model; equal weights give equal bytes."""
    _save(model, config, folder)


def save_super_resolution(model: SuperResolution, config: SuperResolutionModelConfig, folder: Path) -> None:
    """Save a super-resolution model; equal weights give equal bytes."""
    _save(model, config, folder)


def load_animation(folder: Path, device: str | torch.device = "cpu") -> AnimationModel:
    """Load an animation model, in evaluation mode.

    Raises:
        FaceanimError: the folder holds no animation model, or weights that do not fit their configuration.
    """
    return _load(folder, AnimationModelConfig, build_animation, device)


def load_super_resolution(folder: Path, device: str | torch.device = "cpu") -> SuperResolution:
    """Load a super-resolution model, in evaluation mode.

    Raises:
        FaceanimError: the folder holds no such model, or weights that do not fit their configuration.
    """
    return _load(folder, SuperResolutionModelConfig, build_super_resolution, device)


def _save(model: nn.Module, config: Section, folder: Path) -> None:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary)
    with atomic_path(folder / CONFIG) as temporary:
        stored = {STORED_KEYS.get(key, key): value for key, value in config.model_dump(mode="json").items()}
        temporary.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")


def _load(
    folder: Path, section: type[Config], build: Callable[[Config], Model], device: str | torch.device
) -> Model:
    try:
        config = _read_config(folder / CONFIG, section)
        tensors = load_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise FaceanimError(
            f"cannot load a model from {folder}: {Path(str(error.filename or WEIGHTS)).name} is missing"
        ) from None
    except SafetensorError as error:
        raise FaceanimError(f"{folder / WEIGHTS} is damaged: {first_line(error)}") from None
    model = build(config)
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise FaceanimError(f"{folder / WEIGHTS} does not fit its {CONFIG}: {first_line(error)}") from None
    return model.to(device).eval()


def _read_config(path: Path, section: type[Config]) -> Config:
    names = {stored: key for key, stored in STORED_KEYS.items()}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        # Validated as JSON, where `strict` accepts a list for a tuple but still refuses "3" for 3.
        renamed = json.dumps({names.get(key, key): value for key, value in stored.items()})
        return section.model_validate_json(renamed, strict=True)
    except ValidationError as error:
        problem = format_validation_error(error)
    except (ValueError, AttributeError):
        problem = "not a JSON object"
    raise FaceanimError(f"{path} describes another kind or version of model: {problem}")
