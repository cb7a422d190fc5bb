"""What can be chosen when a portrait is animated: one list for Python, the command and the page."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat

from faceanim.config.base import Section

FaceNumber = Annotated[int, Field(ge=1)]
"""Faces are counted from left to right, from 1."""


class Options(Section):
    """How a portrait is animated.

    Attributes:
        face: which of the picture's faces: `largest`, its number from left to right, or `all` of them, which
            are then shown in the whole picture.
        driving_face: which of the driving video's, likewise.
        relative: the portrait moves as the driving face does, from its own pose; if not, it takes on the
            driving face's position and shape.
        scale: how much of a relative movement is carried over; 1 is all of it.
        start: where a relative movement begins: `best` is the frame whose pose is most like the portrait's.
        smoothing: strength of the filter that takes out jitter; 0 is none.
        rounds: how often the motion is played forth and back, so that the result can be looped; 0 plays it
            once, as it is.
        whole: the whole picture is shown with the face moving in it, not only the square around the face, and
            that in the picture's own resolution.
        size: side of the square in pixels, if not the network's own; it has the picture's detail then.
        super_resolution: whether the second network enlarges the square; not where `whole` or `size` say how
            large it is.
        side_by_side: portrait, driving face and result stand beside each other; with `rounds`, or by a motion
            file, portrait and result.
        watermark: whether the frames carry the invisible mark.
    """

    face: FaceNumber | Literal["largest", "all"] = "largest"
    driving_face: FaceNumber | Literal["largest"] = "largest"
    relative: bool = True
    scale: Annotated[float, Field(ge=0, le=3)] = 1.0
    start: Literal["best", "first"] = "best"
    smoothing: NonNegativeFloat = 1.0
    rounds: Annotated[int, Field(ge=0, le=100)] = 0
    whole: bool = False
    size: Annotated[int, Field(ge=32, le=2048, multiple_of=2)] | None = None
    super_resolution: bool = True
    side_by_side: bool = False
    watermark: bool = True

    @property
    def shows_whole(self) -> bool:
        """Whether the whole picture is shown."""
        return self.whole or self.face == "all"


def parse_face(text: str) -> int | str:
    """A face's number, or a word."""
    return int(text) if text.isdecimal() else text
