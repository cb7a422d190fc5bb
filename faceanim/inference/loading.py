"""Loading of trained models from the registry, a folder or an ONNX file."""

import os
from pathlib import Path

from faceanim.config import load_params
from faceanim.errors import FaceanimError, name_missing_packages
from faceanim.inference.backend import ONNX_SUFFIX, Device, Network

DEFAULT_MODEL = "models:/faceanim@champion"
PARAMS_FILE = Path("params.yaml")


def resolve_model(model: str, params: Path = PARAMS_FILE) -> Path:
    """Return the folder or file of a model given by registry address or path, downloading it if needed.

    Raises:
        FaceanimError: the registry does not respond or has no such model.
    """
    if not model.startswith("models:"):
        return Path(model)
    with name_missing_packages(f"load {model}", "use a model's folder"):
        from faceanim.tracking import download_model

    # Outside the project, where there is no params.yaml, the environment variable is sufficient.
    return download_model(
        model, os.environ.get("MLFLOW_TRACKING_URI") or load_params(params).run.tracking_uri
    )


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
