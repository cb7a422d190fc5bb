"""Animating a portrait: from a picture and a video, straight from a phone, to a video."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faceanim.inference.animator import Animator as Animator
    from faceanim.inference.animator import to_float as to_float
    from faceanim.inference.animator import to_uint8 as to_uint8


def __getattr__(name: str) -> Any:
    """Import the networks' facade on first use, so that ONNX models run without torch.

    Models that faceanim 0.1 registered carry code that imports these three names from here.
    """
    if name not in ("Animator", "to_float", "to_uint8"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from faceanim.inference import animator

    return getattr(animator, name)
