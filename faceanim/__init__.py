"""Animate any portrait: from a list of talking-head videos to a registered model.

The names defined here are the Python API. Most live in `inference` and are imported on first use. Every
function raises `FaceanimError` for problems that the user can solve.
"""

from typing import TYPE_CHECKING, Any

from faceanim._version import __version__ as __version__
from faceanim.errors import FaceanimError as FaceanimError
from faceanim.errors import name_missing_packages

if TYPE_CHECKING:
    from faceanim.inference.api import AnimatedVideo as AnimatedVideo
    from faceanim.inference.api import animate as animate
    from faceanim.inference.api import save_motion as save_motion
    from faceanim.inference.loading import load_network as load_network
    from faceanim.inference.options import Options as Options

_HOME = {
    "AnimatedVideo": "api",
    "animate": "api",
    "save_motion": "api",
    "load_network": "loading",
    "Options": "options",
}


def __getattr__(name: str) -> Any:
    """Import a name of the API on first access, because the training stages need none of it."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    with name_missing_packages(f"import faceanim.{name}"):
        return getattr(import_module(f"faceanim.inference.{_HOME[name]}"), name)
