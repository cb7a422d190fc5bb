"""Models as folders: `weights.safetensors` and the `config.json` that they were built from."""

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


def save_animation(model: AnimationModel, config: AnimationModelConfig, folder: Path) -> None:
    """Write the model; equal weights give equal bytes."""
    _save(model, config, folder)


def save_super_resolution(model: SuperResolution, config: SuperResolutionModelConfig, folder: Path) -> None:
    """Write the model; equal weights give equal bytes."""
    _save(model, config, folder)


def load_animation(folder: Path, device: str | torch.device = "cpu") -> AnimationModel:
    """Read an animation model, in evaluation mode.

    Raises:
        FaceanimError: the folder holds none, or weights that do not fit their configuration.
    """
    return _load(folder, AnimationModelConfig, build_animation, device)


def load_super_resolution(folder: Path, device: str | torch.device = "cpu") -> SuperResolution:
    """Read a super-resolution model, in evaluation mode.

    Raises:
        FaceanimError: the folder holds none, or weights that do not fit their configuration.
    """
    return _load(folder, SuperResolutionModelConfig, build_super_resolution, device)


def _save(model: nn.Module, config: Section, folder: Path) -> None:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary)
    with atomic_path(folder / CONFIG) as temporary:
        temporary.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _load(
    folder: Path, section: type[Config], build: Callable[[Config], Model], device: str | torch.device
) -> Model:
    try:
        config = section.model_validate_json((folder / CONFIG).read_text(encoding="utf-8"), strict=True)
        tensors = load_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise FaceanimError(
            f"{folder} is no model: {Path(str(error.filename or WEIGHTS)).name} is missing"
        ) from None
    except ValidationError as error:
        raise FaceanimError(
            f"{folder / CONFIG} is of another kind or version: {format_validation_error(error)}"
        ) from None
    except SafetensorError as error:
        raise FaceanimError(f"{folder / WEIGHTS} is damaged: {first_line(error)}") from None
    model = build(config)
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise FaceanimError(f"{folder / WEIGHTS} does not fit its {CONFIG}: {first_line(error)}") from None
    return model.to(device).eval()
