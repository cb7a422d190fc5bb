"""Reading photographs as phones, scanners and drawing programs write them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from faceanim.errors import FaceanimError
from faceanim.media.frames import Frame

MAX_PIXELS = 100_000_000
"""Largest photograph read: twice what phones take, and 0.3 GB."""
MIN_SIDE = 32
"""A picture with a shorter side than this shows no face that could be found."""

# Pillow knows more; of those, some run other programs, and none comes from a camera.
_FORMATS = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "PPM"]
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"})


def read_image(path: Path) -> Frame:
    """A picture as (H, W, 3), RGB in [0, 255]: upright by EXIF, 8 bits, on white where it is transparent.

    Raises:
        FaceanimError: the file is no picture that can be read, or of a size that can't be used.
    """
    Image.init()  # all of Pillow's formats can be named then
    formats = [*_FORMATS, *_heif_formats(path)]
    with _wrap_image_errors(path), Image.open(path, formats=formats) as image:
        check_image_size(path, *image.size)
        upright = ImageOps.exif_transpose(image)
        return np.asarray(_to_rgb(upright), np.uint8).copy()


def check_image_size(path: Path, width: int, height: int) -> None:
    """Refuse a picture before it is decoded.

    Raises:
        FaceanimError: it is too large to be held, or too small to show a face.
    """
    if width * height > MAX_PIXELS:
        raise FaceanimError(
            f"{path} has {width * height / 1e6:.0f} megapixels; at most {MAX_PIXELS // 10**6} are taken:"
            " make it smaller"
        )
    if min(width, height) < MIN_SIDE:
        raise FaceanimError(f"{path} is only {width}x{height} pixels; take a larger picture")


@contextmanager
def _wrap_image_errors(path: Path) -> Iterator[None]:
    """Say in one line that a picture can't be read."""
    try:
        with warnings.catch_warnings():
            # Of sizes Pillow finds odd; ours are checked above.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except Image.DecompressionBombError:
        raise FaceanimError(f"{path} claims to be far too large for a picture") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise FaceanimError(f"{path} can't be opened: {error.strerror}") from None
        raise FaceanimError(f"{path} is no picture that can be read; save it as JPEG or PNG") from None


def _heif_formats(path: Path) -> list[str]:
    """The name of the format iPhones save in, for a file of it, if there is something to read it with.

    Raises:
        FaceanimError: there is nothing.
    """
    if not _is_heif(path):
        return []
    try:
        import pillow_heif
    except ImportError:
        raise FaceanimError(
            f"{path} is HEIC, which nothing here reads: save it as JPEG, or pip install 'faceanim[heic]'"
        ) from None
    pillow_heif.register_heif_opener()
    return ["HEIF"]


def _is_heif(path: Path) -> bool:
    with _wrap_image_errors(path), path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes as RGB."""
    if image.mode.startswith("I") or image.mode == "F":
        # Grey in 16 bits or more, which Pillow would cut off at 255.
        values = np.asarray(image, np.float64)
        deep = 65535.0 if values.max(initial=0) <= 65535 else float(values.max())
        scale = 255.0 if image.mode == "F" and values.max(initial=0) <= 1 else 255.0 / deep
        return Image.fromarray(np.clip(values * scale, 0, 255).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        # What a transparent pixel's colour is, nobody has seen.
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(white, coloured).convert("RGB")
    return image.convert("RGB")
