"""What can be chosen on the page, and what that means for the animation."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from faceanim.config.base import Section, format_validation_error
from faceanim.errors import FaceanimError
from faceanim.inference.driving import wrap_video_errors
from faceanim.inference.options import FaceNumber, Options, parse_face
from faceanim.media.integrity import verify_video
from faceanim.media.video import VideoInfo

MAX_UPLOAD_MB = 200
"""Size of an uploaded file."""
MAX_SECONDS, MAX_FRAMES, MAX_SIDE = 60, 3600, 1920
"""Length of a driving video, its frames, and the longer side of one."""
MAX_GIF_SECONDS = 15
"""Length of a GIF, which takes ten times what an MP4 does."""
MAX_JOB_MINUTES = 30
"""How long one animation may take while others wait; what a video says of its own length may be a lie."""
MAX_WAITING = 16
"""How many may wait for their turn."""
RETENTION_MINUTES = 60
"""How long uploads and results are kept."""


def check_video(path: Path) -> VideoInfo:
    """What a driving video holds.

    Raises:
        FaceanimError: it can't be read, or is more than the page takes.
    """
    with wrap_video_errors(path):
        info = verify_video(path)
    if info.seconds > MAX_SECONDS:
        raise FaceanimError(
            f"{path} lasts {info.seconds:.0f} seconds; at most {MAX_SECONDS} are taken: cut it"
        )
    if info.frames > MAX_FRAMES:
        raise FaceanimError(f"{path} has {info.frames} frames; at most {MAX_FRAMES} are taken: cut it")
    if max(info.width, info.height) > MAX_SIDE:
        size = f"{info.width}×{info.height}"
        raise FaceanimError(f"{path} is {size}; at most {MAX_SIDE} pixels a side are taken: make it smaller")
    return info


def check_gif(seconds: float) -> None:
    """See that a GIF would not become huge.

    Raises:
        FaceanimError: it would.
    """
    if seconds > MAX_GIF_SECONDS:
        raise FaceanimError(
            f"a GIF of {seconds:.0f} seconds is too large, {MAX_GIF_SECONDS} at most; take an MP4"
        )


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
    def parse(cls, given: dict[str, Any]) -> "Choices":
        """The choices of a request, in which a face's number is a text.

        Raises:
            FaceanimError: one of them is none that there is.
        """
        face = parse_face(str(given["face"]))
        if face not in ("largest", "all", *range(1, 100)):
            raise FaceanimError("a face is `largest`, `all`, or its number from the left")
        try:
            return cls.model_validate(given | {"face": face})
        except ValidationError as error:
            raise FaceanimError(format_validation_error(error)) from None

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
