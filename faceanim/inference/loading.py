"""Where a trained model comes from: the registry, a folder, or a file."""

import os
from pathlib import Path

from faceanim.config import load_params
from faceanim.errors import FaceanimError
from faceanim.inference.backend import ONNX_SUFFIX, Device, Network

DEFAULT_MODEL = "models:/faceanim@champion"
PARAMS_FILE = Path("params.yaml")


def resolve_model(model: str, params: Path = PARAMS_FILE) -> Path:
    """The folder or file of a model given as a registry address or as a path.

    Raises:
        FaceanimError: the registry does not answer or has no such model.
    """
    if not model.startswith("models:"):
        return Path(model)
    from faceanim.tracking import download_model

    # Outside the project the address in the environment is enough.
    return download_model(
        model, os.environ.get("MLFLOW_TRACKING_URI") or load_params(params).run.tracking_uri
    )


def load_network(model: Path, device: Device = "auto") -> Network:
    """Load a folder with both networks, or an ONNX file that was made of one.

    Args:
        model: the folder, or the file, whose name ends in `.onnx`.
        device: `auto` takes the GPU if there is one.

    Raises:
        FaceanimError: it is no model, or there is no such device.
    """
    if model.suffix == ONNX_SUFFIX:
        from faceanim.inference.onnx_backend import OnnxNetwork

        return OnnxNetwork.load(model, device)
    if not model.is_dir():
        raise FaceanimError(
            f"there is no model {model}: it is a folder, or a file whose name ends in {ONNX_SUFFIX}"
        )
    from faceanim.inference.torch_backend import TorchNetwork

    return TorchNetwork.load(model, device)
