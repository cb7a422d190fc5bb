"""Limits and options of the page. The limits exist because one machine serves every visitor of the page."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from faceanim.config.base import Section, format_validation_error
from faceanim.errors import FaceanimError
from faceanim.inference.driving import wrap_video_errors
from faceanim.inference.motion import Motion
from faceanim.inference.options import FaceNumber, Options, parse_face
from faceanim.media.integrity import verify_video
from faceanim.media.video import VideoInfo

MAX_UPLOAD_MB = 200
"""Maximum size of an uploaded file, in MB."""
MAX_SECONDS, MAX_FRAMES, MAX_SIDE = 60, 3600, 1920
"""Maximum duration in seconds, number of frames and longer side in pixels of a driving video."""
MAX_GIF_SECONDS = 15
"""Maximum duration of a GIF, in seconds. A GIF is about ten times as large as an MP4."""
MAX_JOB_MINUTES = 30
"""Maximum run time of an animation while others wait: the duration that a video declares may be wrong."""
MAX_WAITING = 16
"""Maximum number of requests in the queue."""
RETENTION_MINUTES = 60
"""Time after which uploads and results are deleted, in minutes."""
DETAIL_SIZE = 512
"""Side of the square around the face when it is shown in the detail of the photograph, in pixels."""


class Choices(Section):
    """Controls of the page, which are also parameters of its API.

    Attributes:
        face: `largest`, `all`, or the number of a face, counted from left to right.
        movement: relative to the pose of the portrait, or absolute, with the pose of the driving face.
        scale: strength of a relative movement, as a factor.
        smoothing: smoothing of the driving motion.
        show: `face` for the square around the face, `whole` for the whole image.
        detail: source of the detail of the face: the photograph, super-resolution or the network.
        side_by_side: show portrait, driving video and result next to each other.
        loop: play the motion forward and backward.
        kind: file format of the result.
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
    def parse(cls, values: dict[str, Any]) -> "Choices":
        """Validate the choices of a request, in which the number of a face is a string.

        Raises:
            FaceanimError: a choice is invalid.
        """
        face = parse_face(str(values["face"]))
        try:
            return cls.model_validate(values | {"face": face})
        except ValidationError as error:
            raise FaceanimError(format_validation_error(error)) from None

    @property
    def options(self) -> Options:
        """Options of `faceanim.animate` for these choices. The watermark cannot be turned off here."""
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


def check_motion(path: Path) -> Motion:
    """Read a motion file and check it against the limits of videos.

    Raises:
        FaceanimError: the file is not a motion file or exceeds a limit.
    """
    motion = Motion.load(path)
    _check_length(path, motion.seconds, len(motion.times))
    return motion


def check_video(path: Path) -> VideoInfo:
    """Read the properties of a driving video and check them against the limits.

    Raises:
        FaceanimError: the video cannot be read or exceeds a limit.
    """
    with wrap_video_errors(path):
        info = verify_video(path)
    _check_length(path, info.seconds, info.frames)
    if max(info.width, info.height) > MAX_SIDE:
        size = f"{info.width}×{info.height}"
        raise FaceanimError(
            f"cannot use {path}: it is {size}, the limit is {MAX_SIDE} pixels per side; scale it down"
        )
    return info


def _check_length(path: Path, seconds: float, frames: int) -> None:
    if seconds > MAX_SECONDS:
        raise FaceanimError(
            f"cannot use {path}: it lasts {seconds:.0f} seconds, the limit is {MAX_SECONDS}; trim it"
        )
    if frames > MAX_FRAMES:
        raise FaceanimError(f"cannot use {path}: it has {frames} frames, the limit is {MAX_FRAMES}; trim it")


def check_gif(seconds: float) -> None:
    """Check that a GIF of this duration stays within the size limit.

    Raises:
        FaceanimError: the duration exceeds `MAX_GIF_SECONDS`.
    """
    if seconds > MAX_GIF_SECONDS:
        raise FaceanimError(
            f"cannot write a GIF of {seconds:.0f} seconds: the limit is {MAX_GIF_SECONDS}; choose MP4"
        )
