"""Animate any portrait: from a list of talking-head videos to a registered model."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faceanim.animating.api import AnimatedVideo as AnimatedVideo
    from faceanim.animating.api import animate as animate
    from faceanim.animating.api import save_motion as save_motion
    from faceanim.animating.network import load_network as load_network
    from faceanim.animating.options import Options as Options

__version__ = "0.1.0"

_HOME = {
    "AnimatedVideo": "api",
    "animate": "api",
    "save_motion": "api",
    "load_network": "network",
    "Options": "options",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for then: a stage that trains needs no part of it."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"faceanim.animating.{_HOME[name]}"), name)
