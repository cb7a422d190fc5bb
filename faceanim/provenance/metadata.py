"""The plain text by which a file says that it is synthetic: always there, and anybody can remove it."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from PIL import Image

from faceanim.errors import FaceanimError

COMMENT = "synthetic: animated by faceanim"
"""What every result says: an MP4's container, a GIF's comment block, a PNG's text."""
COMMENT_KEY = "Comment"
"""Under which a PNG holds it."""

GIF, MP4, PNG = "image/gif", "video/mp4", "image/png"

# What `faceanim.media.video` reads. FFmpeg knows more, of which some only follow a script to other files.
_CONTAINERS = "mov,matroska,avi,mpeg,mpegts,mpegvideo"
_SIGNATURES = {
    b"GIF8": GIF,
    b"\x89PNG\r\n\x1a\n": PNG,
    b"\xff\xd8\xff": "image/jpeg",
}
_PILLOW_FORMATS = {GIF: "GIF", PNG: "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
"""Pillow's names of the pictures that are read."""


def detect_media_type(path: Path) -> str | None:
    """The media type that a file's first bytes tell, whatever its name says; None for other than those here.

    Returns:
        That of GIF, PNG, JPEG or WebP, or `video/mp4` for MP4 and whatever is built like it.

    Raises:
        FaceanimError: there is no such file, or it may not be read.
    """
    with wrap_read_errors(path), path.open("rb") as file:
        head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return MP4
    return next((kind for begin, kind in _SIGNATURES.items() if head.startswith(begin)), None)


def is_image_type(kind: str | None) -> bool:
    """Whether a media type is that of a picture that is read here."""
    return kind in _PILLOW_FORMATS


def read_comment(path: Path) -> str | None:
    """The comment in a video's container (MP4, MOV, Matroska, AVI), a GIF, a PNG or a JPEG; None without one.

    Anybody may have written it, and anything: look for `COMMENT` in it, and print no other.

    Raises:
        FaceanimError: the file is neither a video nor a picture that can be read.
    """
    kind = detect_media_type(path)
    with wrap_read_errors(path):
        text = (
            _container_comment(path)
            if kind not in _PILLOW_FORMATS
            else _picture_comment(path, _PILLOW_FORMATS[kind])
        )
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


@contextmanager
def wrap_read_errors(path: Path) -> Iterator[None]:
    """Turn what Python, FFmpeg and Pillow say of a bad file into one line.

    Raises:
        FaceanimError: they do.
    """
    try:
        yield
    except FileNotFoundError:
        raise FaceanimError(f"there is no file {path}") from None
    except PermissionError:
        raise FaceanimError(f"{path} may not be read") from None
    except Image.DecompressionBombError:
        raise FaceanimError(f"{path} claims to be far too large for a picture") from None
    except (av.FFmpegError, OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error):
        raise FaceanimError(f"{path} is no video and no picture that can be read") from None


def _container_comment(path: Path) -> str | None:
    only = {"format_whitelist": _CONTAINERS}
    # An absolute path, as FFmpeg takes what is before a colon for a protocol.
    with av.open(str(path.absolute()), container_options=only, metadata_errors="replace") as container:
        texts = {key.lower(): text for key, text in container.metadata.items()}
    comment: str | None = texts.get("comment")
    return comment


def _picture_comment(path: Path, name: str) -> str | bytes | None:
    # Only what comes before the pixels, which is where ours is: nothing has to be decoded.
    with warnings.catch_warnings(action="ignore"), Image.open(path, formats=[name]) as image:
        comment: str | bytes | None = image.info.get(COMMENT_KEY, image.info.get("comment"))
        return comment
