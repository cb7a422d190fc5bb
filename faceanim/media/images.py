"""Reading of photographs as phones, scanners and drawing programs write them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from faceanim.errors import FaceanimError
from faceanim.media.frames import Frame
from faceanim.media.image_colors import convert_to_srgb

MAX_PIXELS = 100_000_000
"""Largest image that is read, in pixels: twice the resolution of phones, and 0.3 GB of memory."""
MIN_SIDE = 32
"""Smallest side of an image, in pixels; a smaller one cannot show a face that would be detected."""

# Pillow supports more formats. Some of these run external programs, and none is written by a camera.
_FORMATS = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "PPM"]
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"})


def read_image(path: Path) -> Frame:
    """Read an image as (H, W, 3), sRGB in [0, 255], 8 bits: upright by EXIF, transparency on white.

    Raises:
        FaceanimError: the file is not a readable image, or its size is out of range.
    """
    Image.init()  # makes all of Pillow's formats available by name
    formats = [*_FORMATS, *_heif_formats(path)]
    with _wrap_image_errors(path), Image.open(path, formats=formats) as image:
        check_image_size(path, *image.size)
        upright = _to_8_bits(ImageOps.exif_transpose(image))
        return np.asarray(_to_rgb(convert_to_srgb(upright, image, path)), np.uint8).copy()


def detect_image_format(path: Path) -> str | None:
    """Detect the format of an image from its header, whatever the name of the file.

    Returns:
        Pillow's name of the format, or `HEIF`; None if `read_image` does not know it.

    Raises:
        FaceanimError: the file does not exist or is not readable.
    """
    if _is_heif(path):
        return "HEIF"
    Image.init()
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=_FORMATS) as image:
            return image.format
    except (Image.DecompressionBombError, OSError, ValueError, SyntaxError):
        return None  # not an image, or one whose header is damaged


def check_image_size(path: Path, width: int, height: int) -> None:
    """Check the size of an image before it is decoded.

    Raises:
        FaceanimError: the image is too large for memory or too small to show a face.
    """
    if width * height > MAX_PIXELS:
        raise FaceanimError(
            f"cannot read {path}: {width * height / 1e6:.0f} megapixels, the limit is"
            f" {MAX_PIXELS // 10**6}; make it smaller"
        )
    if min(width, height) < MIN_SIDE:
        raise FaceanimError(f"cannot use {path}: only {width}x{height} pixels; use a larger image")


@contextmanager
def _wrap_image_errors(path: Path) -> Iterator[None]:
    """Turn errors of Pillow and of the file system into a `FaceanimError` of one line."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of large images, whose size `check_image_size` limits.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except Image.DecompressionBombError:
        raise FaceanimError(f"cannot read {path}: its header claims a size too large for an image") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise FaceanimError(f"cannot read {path}: {error.strerror}") from None
        raise FaceanimError(
            f"cannot read {path}: not an image of a supported format, or damaged; save it as JPEG or PNG"
        ) from None


def _heif_formats(path: Path) -> list[str]:
    """Register a reader for HEIC, the format of iPhones, and return its name; empty if the file is not HEIC.

    Raises:
        FaceanimError: the file is HEIC, and no reader for it is installed.
    """
    if not _is_heif(path):
        return []
    try:
        import pillow_heif
    except ImportError:
        raise FaceanimError(
            f"cannot read {path}: no reader for HEIC is installed;"
            " save it as JPEG, or pip install 'faceanim[heic]'"
        ) from None
    pillow_heif.register_heif_opener()
    return ["HEIF"]


def _is_heif(path: Path) -> bool:
    with _wrap_image_errors(path), path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Convert gray with 16 bits or more to 8 bits; return any other image as it is."""
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow would clip at 255.
        values = np.asarray(image, np.float64)
        full_scale = 65535.0 if values.max(initial=0) <= 65535 else float(values.max())
        scale = 255.0 if image.mode == "F" and values.max(initial=0) <= 1 else 255.0 / full_scale
        scaled = Image.fromarray(np.clip(values * scale, 0, 255).round().astype(np.uint8))
        scaled.info = image.info
        return scaled
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode with 8 bits to RGB, transparency on white."""
    if image.has_transparency_data:
        # The color stored in a transparent pixel is arbitrary.
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")
