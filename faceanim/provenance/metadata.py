"""Plain-text mark in a file's metadata: present in every result, and easy for anyone to remove."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from PIL import Image

from faceanim.errors import FaceanimError
from faceanim.media.containers import open_input
from faceanim.media.images import detect_image_format

COMMENT = "synthetic: animated by faceanim"
"""Text in every result: in the container of an MP4, the comment block of a GIF, a text chunk of a PNG."""
COMMENT_KEY = "Comment"
"""Keyword of that text chunk in a PNG."""

GIF, MP4, PNG = "image/gif", "video/mp4", "image/png"

_SIGNATURES = {
    b"GIF8": GIF,
    b"\x89PNG\r\n\x1a\n": PNG,
    b"\xff\xd8\xff": "image/jpeg",
}
_PILLOW_FORMATS = {GIF: "GIF", PNG: "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
"""Pillow's names of the image formats that have a comment."""


def detect_media_type(path: Path) -> str | None:
    """Detect the media type of a file from its first bytes, regardless of its name.

    Returns:
        that of an image that `read_image` knows; `video/mp4` for MP4 and formats of its structure; None for
        others.

    Raises:
        FaceanimError: the file does not exist or is not readable.
    """
    with wrap_read_errors(path), path.open("rb") as file:
        head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return "image/webp"
    if kind := next((kind for signature, kind in _SIGNATURES.items() if head.startswith(signature)), None):
        return kind
    if image_format := detect_image_format(path):
        return f"image/{image_format.lower()}"
    return MP4 if head[4:8] == b"ftyp" else None


def is_image_type(kind: str | None) -> bool:
    """Check whether a media type is that of a supported image format."""
    return kind is not None and kind.startswith("image/")


def read_comment(path: Path) -> str | None:
    """Read the comment of a video (MP4, MOV, Matroska, AVI), a GIF, a PNG or a JPEG; None without one.

    Images of other formats have none that faceanim writes.

    The text is untrusted: search it for `COMMENT`, and print nothing else of it.

    Raises:
        FaceanimError: the file is neither a readable video nor a readable image.
    """
    kind = detect_media_type(path)
    if is_image_type(kind) and kind not in _PILLOW_FORMATS:
        return None
    with wrap_read_errors(path):
        text = (
            _container_comment(path)
            if kind not in _PILLOW_FORMATS
            else _image_comment(path, _PILLOW_FORMATS[kind])
        )
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


@contextmanager
def wrap_read_errors(path: Path) -> Iterator[None]:
    """Turn errors of Python, FFmpeg and Pillow about a bad file into one line.

    Raises:
        FaceanimError: the file is missing, not readable or damaged.
    """
    try:
        yield
    except FileNotFoundError:
        raise FaceanimError(f"cannot read {path}: no such file") from None
    except PermissionError:
        raise FaceanimError(f"cannot read {path}: permission denied") from None
    except Image.DecompressionBombError:
        raise FaceanimError(f"cannot read {path}: its header claims a size too large for an image") from None
    except (av.FFmpegError, OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error):
        raise FaceanimError(
            f"cannot read {path}: not a video or image of a supported format, or damaged"
        ) from None


def _container_comment(path: Path) -> str | None:
    with open_input(path) as container:
        texts = {key.lower(): text for key, text in container.metadata.items()}
    comment: str | None = texts.get("comment")
    return comment


def _image_comment(path: Path, format_name: str) -> str | bytes | None:
    # Reads only what precedes the pixels, where the mark is written; nothing has to be decoded.
    with warnings.catch_warnings(action="ignore"), Image.open(path, formats=[format_name]) as image:
        comment: str | bytes | None = image.info.get(COMMENT_KEY, image.info.get("comment"))
        return comment
