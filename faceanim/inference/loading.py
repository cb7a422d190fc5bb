"""Loading of trained models from the registry, a folder or an ONNX file."""

import os
import sqlite3
import sys
from pathlib import Path

from faceanim.errors import FaceanimError, name_missing_packages
from faceanim.inference.backend import (
    ANIMATION_FOLDER,
    ONNX_SUFFIX,
    SUPER_RESOLUTION_FOLDER,
    Device,
    Network,
)
from faceanim.mlflow_address import PARAMS_FILE, TRACKING_VARIABLE, find_tracking_uri, parse_sqlite_path
from faceanim.mlflow_database import count_versions

MODEL_NAME = "faceanim"
"""Name of the registered model where no params.yaml says otherwise."""
DEFAULT_MODEL = f"models:/{MODEL_NAME}@champion"
MODELS_FOLDER = "models"
"""Folder of a project, beside params.yaml, in which the trainings leave their networks."""


def resolve_model(model: str, params: Path = PARAMS_FILE) -> Path:
    """Return the folder or file of a model given by registry address or path, downloading it if needed.

    In a project without a registry, such as a clone after `dvc pull`, the default is the folder of the
    trained networks; a line says so.

    Raises:
        FaceanimError: the registry does not respond or has no such model.
    """
    if not model.startswith("models:"):
        return Path(model)
    trained = find_trained_models(params)
    if model == DEFAULT_MODEL and trained is not None and not has_registry(params):
        print(f"no registry; using {trained}/", file=sys.stderr)
        return trained
    with name_missing_packages(f"load {model}", "use a model's folder"):
        from faceanim.tracking import download_model

    try:
        return download_model(model, find_tracking_uri(params))
    except FaceanimError as error:
        folder = trained or "FOLDER"
        raise type(error)(f"{error}; `--model {folder}` uses a folder with both networks") from None


def find_trained_models(params: Path) -> Path | None:
    """Return the folder of the trained networks beside a parameter file; None if it has not both."""
    folder = params.parent / MODELS_FOLDER
    parts = (ANIMATION_FOLDER, SUPER_RESOLUTION_FOLDER)
    return folder if all((folder / part).is_dir() for part in parts) else None


def has_registry(params: Path) -> bool:
    """Check whether a registry is named that may have a model: any but a database without versions."""
    if os.environ.get(TRACKING_VARIABLE):
        return True
    if not params.exists():
        return False
    database = parse_sqlite_path(find_tracking_uri(params))
    try:
        return database is None or (database.is_file() and count_versions(database) > 0)
    except (OSError, sqlite3.Error):
        return True  # the reason is reported when it is opened


def load_network(model: Path, device: Device = "auto") -> Network:
    """Load a folder with both networks, or an ONNX file that was exported from one.

    Args:
        model: the folder, or the file, whose name ends in `.onnx`.
        device: device to run on; `auto` selects the GPU if one is available.

    Raises:
        FaceanimError: `model` is not a model, or the device is not available.
    """
    if model.suffix == ONNX_SUFFIX:
        from faceanim.inference.onnx_backend import OnnxNetwork

        return OnnxNetwork.load(model, device)
    if not model.is_dir():
        raise FaceanimError(
            f"cannot load model {model}: not a folder with both networks or an {ONNX_SUFFIX} file"
        )
    with name_missing_packages(f"load {model}", f"use an {ONNX_SUFFIX} file, which needs no torch"):
        from faceanim.inference.torch_backend import TorchNetwork

    return TorchNetwork.load(model, device)
