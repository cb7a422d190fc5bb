"""Checks of the input files, by their content and before any work: image and video may have been swapped."""

from pathlib import Path

from faceanim.errors import FaceanimError
from faceanim.inference.motion import MOTION_SUFFIX
from faceanim.media.images import detect_image_format
from faceanim.media.video import MediaError, probe


def check_inputs(source: Path, driving: Path) -> None:
    """Check that an image and a driving video or motion file exist and are in this order.

    Raises:
        FaceanimError: a file is missing, or is of the other kind.
    """
    check_files_exist(source, driving)
    if not _is_driving(source):
        check_driving(driving)
    elif _is_still_image(driving):
        raise FaceanimError(
            f"{source} is a video and {driving} an image: swap them; the image to animate comes first"
        )
    else:
        raise FaceanimError(
            f"cannot animate {source}: it is a video; give an image, such as one of its frames, to animate"
        )


def check_driving(driving: Path) -> None:
    """Check that a driving video exists and is not an image.

    Raises:
        FaceanimError: the file is missing or an image.
    """
    check_files_exist(driving)
    if _is_still_image(driving):
        raise FaceanimError(
            f"cannot read {driving}: it is an image, not a supported video; give one of a moving face"
        )


def check_files_exist(*paths: Path) -> None:
    """Check that the input files exist.

    Raises:
        FaceanimError: a file is missing.
    """
    for path in paths:
        if not path.is_file():
            raise FaceanimError(f"cannot read {path}: no such file")


def _is_still_image(path: Path) -> bool:
    """Return whether a file is an image; a GIF may be either, and is read as what it is given as."""
    return path.suffix != MOTION_SUFFIX and detect_image_format(path) not in (None, "GIF")


def _is_driving(path: Path) -> bool:
    """Return whether a file is a video or a motion file, and cannot be read as an image."""
    if path.suffix == MOTION_SUFFIX:
        return True
    if detect_image_format(path) is not None:
        return False
    try:
        probe(path)
    except MediaError:
        return False
    return True
