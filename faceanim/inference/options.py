"""Options of an animation, shared by the Python API, the command and the web page."""

from typing import Annotated, Literal

from pydantic import Field

from faceanim.config.base import Section
from faceanim.errors import FaceanimError
from faceanim.inference.face_motion import Strengths

FaceNumber = Annotated[int, Field(ge=1)]
"""Number of a face, counted from left to right, starting at 1."""
Strength = Annotated[float, Field(ge=0, le=3)]
"""Strength of a motion: 0 locks, 1 moves as the driving face does."""


class Options(Section):
    """Options of an animation.

    Attributes:
        face: face of the image to animate: `largest`, its number from left to right, or `all` faces, shown in
            the whole image.
        driving_face: face of the driving video to follow: `largest`, or its number from left to right.
        relative: move the portrait as the driving face moves, starting from the portrait's own pose; False:
            give the portrait the position and shape of the driving face.
        scale: strength of the relative motion as a whole; 0 locks, 1 moves as the driving face does.
        head: strength of the head's part in it: position, size and pose, as a factor of `scale`.
        expression: strength of what moves within the face, as a factor of `scale`; this and the next two have
            an effect on models that use landmarks only.
        eyes: strength of brows and lids, as a factor of `expression`.
        mouth: strength of lips and jaw, as a factor of `expression`.
        start: start of the relative motion: `first`, or `best`, the frame whose pose is most like the
            portrait's.
        smoothing: strength of the filter that removes jitter; 0 disables it.
        rounds: number of times the motion is played forward and backward, so that the result can be looped; 0
            plays it once, unchanged.
        whole: show the whole image with the face moving in it, at the resolution of the image, instead of the
            square around the face.
        size: side of the square in pixels, rendered with the detail of the image; None: the network's own
            size.
        super_resolution: enlarge the square with the second network; no effect where `whole` or `size`
            determines the size.
        side_by_side: show portrait, driving face and result next to each other; with `rounds` or a motion
            file, only portrait and result.
        watermark: add the invisible watermark to the frames.
    """

    face: FaceNumber | Literal["largest", "all"] = "largest"
    driving_face: FaceNumber | Literal["largest"] = "largest"
    relative: bool = True
    scale: Strength = 1.0
    head: Strength = 1.0
    expression: Strength = 1.0
    eyes: Strength = 1.0
    mouth: Strength = 1.0
    start: Literal["best", "first"] = "best"
    smoothing: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    rounds: Annotated[int, Field(ge=0, le=100)] = 0
    whole: bool = False
    size: Annotated[int, Field(ge=32, le=2048, multiple_of=2)] | None = None
    super_resolution: bool = True
    side_by_side: bool = False
    watermark: bool = True

    @property
    def strengths(self) -> Strengths:
        """Return the strengths of the parts of a relative motion."""
        return Strengths(self.scale * self.head, self.scale * self.expression, self.eyes, self.mouth)

    @property
    def shows_whole(self) -> bool:
        """Return whether the whole image is shown, as requested by `whole` or by `face`."""
        return self.whole or self.face == "all"


def parse_face(text: str) -> int | str:
    """Parse the choice of a face of the image.

    Raises:
        FaceanimError: the text is neither `largest`, `all` nor the number of a face.
    """
    if text in ("largest", "all"):
        return text
    # The bound keeps messages short, and Python from refusing to convert thousands of digits.
    if text.isascii() and text.isdecimal() and len(text) < 6 and int(text) > 0:
        return int(text)
    raise FaceanimError("invalid face: give `largest`, `all`, or a number counted from the left, 1 or more")


def parse_driving_face(text: str) -> int | str:
    """Parse the choice of a face of the driving video, of which there is one.

    Raises:
        FaceanimError: the text is neither `largest` nor the number of a face.
    """
    if text == "all":
        raise FaceanimError("invalid driving face: one face is followed; give `largest` or a number")
    try:
        return parse_face(text)
    except FaceanimError:
        raise FaceanimError(
            "invalid driving face: give `largest`, or a number counted from the left, 1 or more"
        ) from None
