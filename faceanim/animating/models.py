"""Where a trained model comes from: the registry, a folder, or a file."""

import os
from pathlib import Path

from faceanim.config import load_params

DEFAULT_MODEL = "models:/faceanim@champion"
PARAMS = Path("params.yaml")


def model_folder(model: str, params: Path = PARAMS) -> Path:
    """The folder or file of a model given as a registry address or as a path.

    Raises:
        FaceanimError: the registry does not answer or has no such model.
    """
    if not model.startswith("models:"):
        return Path(model)
    from faceanim.registry.store import fetch_model

    # Outside the project the address in the environment is enough.
    return fetch_model(model, os.environ.get("MLFLOW_TRACKING_URI") or load_params(params).run.tracking_uri)
