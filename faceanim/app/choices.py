"""What can be chosen on the page, and what that means for the animation."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from faceanim.animating.commands import as_face
from faceanim.animating.options import FaceNumber, Options
from faceanim.config.base import Section, describe
from faceanim.errors import FaceanimError

DETAIL_SIZE = 512
"""Side of the square around the face where it is shown in the photograph's own detail."""


class Choices(Section):
    """The controls of the page, and the parameters of its API.

    Attributes:
        face: `largest`, `all`, or a face's number from left to right.
        movement: whether the portrait moves from its own pose, or takes on the driving face's.
        scale: how much of a relative movement is carried over.
        smoothing: of the driving motion.
        show: the square around the face, or the whole picture.
        detail: the photograph's own, or that of what the networks paint.
        side_by_side: whether portrait, video and result stand beside each other.
        loop: whether the motion is played forth and back.
        kind: of file.
    """

    face: FaceNumber | Literal["largest", "all"] = "largest"
    movement: Literal["relative", "absolute"] = "relative"
    scale: Annotated[float, Field(ge=0, le=2)] = 1.0
    smoothing: Annotated[float, Field(ge=0, le=5)] = 1.0
    show: Literal["face", "whole"] = "face"
    detail: Literal["photograph", "super-resolution", "network"] = "photograph"
    side_by_side: bool = False
    loop: bool = False
    kind: Literal["mp4", "gif"] = "mp4"

    @classmethod
    def checked(cls, given: dict[str, Any]) -> "Choices":
        """The choices of a request, in which a face's number is a text.

        Raises:
            FaceanimError: one of them is none that there is.
        """
        face = as_face(str(given["face"]))
        if face not in ("largest", "all", *range(1, 100)):
            raise FaceanimError("a face is `largest`, `all`, or its number from the left")
        try:
            return cls.model_validate(given | {"face": face})
        except ValidationError as error:
            raise FaceanimError(describe(error)) from None

    @property
    def options(self) -> Options:
        """The same for `faceanim.animate`; the watermark is no choice here."""
        return Options(
            face=self.face,
            relative=self.movement == "relative",
            scale=self.scale,
            smoothing=self.smoothing,
            rounds=int(self.loop),
            whole=self.show == "whole",
            size=DETAIL_SIZE if self.detail == "photograph" else None,
            super_resolution=self.detail == "super-resolution",
            side_by_side=self.side_by_side,
        )
