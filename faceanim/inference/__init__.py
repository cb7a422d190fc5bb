"""Animation of a portrait by a driving video, with torch or ONNX Runtime.

May import `provenance`, `faces`, `models`, `media` and the layers below them, but not `training`, which is a
sibling.
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
    """Import a name on first access, so that ONNX models run without torch.

    The code stored with models registered by faceanim 0.1 imports these three names from this package.
    """
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)
