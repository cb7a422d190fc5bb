"""A registered model as a folder of its own, for a machine without MLflow."""

import shutil
import tempfile
from pathlib import Path

from faceanim.errors import FaceanimError
from faceanim.registry.store import Store, fetch_model


def pull(store: Store, which: str, folder: Path) -> Path:
    """Copy a version's model to a folder that does not exist yet or is empty: whole or not at all.

    Args:
        store: the registered model.
        which: a version's number or an alias.
        folder: then holds `animation`, `super_resolution`, the model card, the data's manifest and the
            metrics.

    Raises:
        FaceanimError: there is no such version, or the folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FaceanimError(f"{folder} is there already and is not empty; name another folder")
    address = f"models:/{store.name}/{which}" if which.isdigit() else f"models:/{store.name}@{which}"
    model = fetch_model(address, store.uri)
    target = folder.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as temporary:
        copy = Path(shutil.copytree(model, Path(temporary) / folder.name))
        copy.replace(target)  # an empty folder makes way
    return folder
