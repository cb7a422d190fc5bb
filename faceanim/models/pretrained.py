"""Reading weights that were trained elsewhere."""

from pathlib import Path

import torch
from torch import Tensor

from faceanim.errors import FaceanimError


def load_state(path: Path) -> dict[str, Tensor]:
    """Read a state dictionary saved by torch, unpickling nothing but tensors.

    Raises:
        FaceanimError: the file is missing or is no such dictionary.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file ends in zipfile's, pickle's or torch's own errors
        raise FaceanimError(f"{path} holds no weights that can be read: {first_line(error)}") from None
    if not isinstance(state, dict):
        raise FaceanimError(f"{path} holds no state dictionary")
    return state


def first_line(error: Exception) -> str:
    """The first line of an error's text, or its name."""
    return next(iter(str(error).splitlines()), type(error).__name__)
