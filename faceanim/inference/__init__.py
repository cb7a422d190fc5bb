"""Animation of a portrait by a driving video, on torch or ONNX Runtime.

May import `provenance`, `training` and everything below them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faceanim.inference.animator import Animator as Animator
    from faceanim.media.tensors import to_float as to_float
    from faceanim.media.tensors import to_uint8 as to_uint8

_EXPORTS = {
    "Animator": "faceanim.inference.animator",
    "to_float": "faceanim.media.tensors",
    "to_uint8": "faceanim.media.tensors",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that ONNX models run without torch.

    Versions registered by faceanim 0.1 carry code that imports these three names from here.
    """
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)
