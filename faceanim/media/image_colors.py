"""Colors of photographs, converted to sRGB by their ICC profile or by what else their file states."""

import io
import logging
import struct
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms

from faceanim.media.colors import (
    D65,
    SRGB_PRIMARIES,
    Chromaticities,
    ColorTags,
    compute_gamut_matrix,
    to_light,
    to_signal,
)
from faceanim.media.frames import quantize

log = logging.getLogger(__name__)

ADOBE_RGB: Chromaticities = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65)
ADOBE_GAMMA = 563 / 256
SRGB_FILE_GAMMA, GAMMA_TOLERANCE = 0.45455, 0.05
"""Value of a PNG's gAMA chunk that stands for sRGB, and the relative deviation to which it does."""
MAX_DIFFERENCE = 2
"""Largest change of any color, in levels, for which an image counts as sRGB and is left as it is."""
_HEADER_BYTES = 1 << 16
"""Bytes at the beginning of a HEIC or AVIF file in which its properties are."""
_STRIP_ROWS = 256
"""Rows that are converted at once, to limit the memory."""
_PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "LAB": "LAB"}
_GRAY_MODES = frozenset({"1", "L", "LA", "La"})

# The choice of browsers and editors for photographs: white stays white, colors both spaces have stay equal.
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION


class _Encoding(NamedTuple):
    """Relation of 8-bit R, G, B to light.

    Attributes:
        light: (256,) float32, light of each level relative to white.
        primaries: red, green, blue and white.
    """

    light: npt.NDArray[np.float32]
    primaries: Chromaticities


def convert_to_srgb(image: Image.Image, file: Image.Image, path: Path) -> Image.Image:
    """Convert an image of 8 bits to sRGB: RGB, or RGBA if it has transparency.

    An image that is sRGB, or states nothing, is returned as it is. That a profile cannot be used is logged.

    Args:
        image: image of any mode of Pillow with 8 bits per channel.
        file: the image as it was opened, with its metadata.
        path: its file, whose header is read again.
    """
    tags = _read_tags(file, path)
    profile = file.info.get("icc_profile")
    if profile and tags is None:
        try:
            return _apply_profile(image, profile)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            log.warning(
                "%s: its ICC profile is damaged or does not fit its pixels, so its colors may be wrong", path
            )
            return image
    encoding = _tagged_encoding(tags) if tags is not None else _stated_encoding(file)
    if encoding is None or _is_srgb(encoding):
        return image
    colors, alpha = _split_alpha(image)
    rgb = np.asarray(colors.convert("RGB"))
    strips = [_convert(rgb[top : top + _STRIP_ROWS], encoding) for top in range(0, len(rgb), _STRIP_ROWS)]
    return _join_alpha(Image.fromarray(np.concatenate(strips)), alpha)


def _apply_profile(image: Image.Image, data: bytes) -> Image.Image:
    """Convert an image by an ICC profile.

    Raises:
        PyCMSError, OSError, ValueError, TypeError: the profile is damaged or one of other pixels.
    """
    profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
    mode = _PROFILE_MODES[_check_space(profile.profile.xcolor_space.strip().upper(), image.mode)]
    transform = ImageCms.buildTransform(
        profile, ImageCms.createProfile("sRGB"), mode, "RGB", renderingIntent=_INTENT, flags=_FLAGS
    )
    if mode in ("RGB", "L"):
        levels = np.arange(256) if mode == "L" else np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3), -1)
        grid = Image.fromarray(levels.astype(np.uint8).reshape(1, -1, *levels.shape[3:]))
        shown = np.asarray(ImageCms.applyTransform(grid, transform))
        if _max_difference(shown, np.asarray(grid.convert("RGB"))) <= MAX_DIFFERENCE:
            return image
    colors, alpha = _split_alpha(image)
    converted = ImageCms.applyTransform(colors.convert(mode), transform)
    assert converted is not None  # it is, unless it is done in place
    return _join_alpha(converted, alpha)


def _check_space(space: str, mode: str) -> str:
    """Return the color space of a profile if it can be that of an image's mode.

    Raises:
        ValueError: it cannot.
    """
    fits = {"RGB": mode not in ("CMYK", "LAB"), "GRAY": mode in _GRAY_MODES, "CMYK": mode == "CMYK"}
    if not fits.get(space, space == mode == "LAB"):
        raise ValueError(f"a profile of {space} does not fit pixels of {mode}")
    return space


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Split an image into its colors, without a palette, and its transparency."""
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        colors = rgba.convert("RGB")
        return (colors.getchannel(0) if image.mode in _GRAY_MODES else colors), rgba.getchannel("A")
    return (image.convert("RGB") if image.mode in ("P", "YCbCr", "HSV") else image), None


def _join_alpha(colors: Image.Image, alpha: Image.Image | None) -> Image.Image:
    if alpha is not None:
        colors.putalpha(alpha)
    return colors


def _read_tags(image: Image.Image, path: Path) -> ColorTags | None:
    """Read the numbers of ITU-T H.273 of a PNG, or of a HEIC or AVIF without a profile; None without any."""
    if image.format not in ("PNG", "HEIF", "AVIF"):
        return None
    with path.open("rb") as file:
        if image.format == "PNG":
            found = _find_png_chunk(file, b"cICP")
            return ColorTags(found[0], found[1]) if found is not None and len(found) == 4 else None
        header = file.read(_HEADER_BYTES)
    start = header.find(b"colrnclx")
    if start < 0 or len(header) < start + 12 or image.info.get("icc_profile"):
        return None
    return ColorTags(*struct.unpack_from(">HH", header, start + 8))


def _find_png_chunk(file: io.BufferedReader, kind: bytes) -> bytes | None:
    """Return the content of a chunk before the pixels of a PNG; None if there is none."""
    file.seek(8)
    while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
        length = int.from_bytes(head[:4], "big")
        if head[4:] == kind:
            return file.read(min(length, _HEADER_BYTES))
        file.seek(length + 4, io.SEEK_CUR)
    return None


def _tagged_encoding(tags: ColorTags) -> _Encoding | None:
    if not tags.need_conversion:
        return None
    levels = np.linspace(0, 1, 256, dtype=np.float32)
    return _Encoding(to_light(levels, tags.transfer, None), tags.chromaticities)


def _stated_encoding(image: Image.Image) -> _Encoding | None:
    """Return what a PNG's gAMA and cHRM chunks, or the EXIF data of a camera, state; None for sRGB."""
    levels = np.linspace(0, 1, 256, dtype=np.float32)
    gamma = image.info.get("gamma")
    if image.format == "PNG" and gamma and "srgb" not in image.info:
        white, *primaries = np.reshape(image.info.get("chromaticity", _flatten(SRGB_PRIMARIES)), (4, 2))
        red, green, blue = ((float(x), float(y)) for x, y in primaries)
        is_srgb = abs(gamma / SRGB_FILE_GAMMA - 1) <= GAMMA_TOLERANCE
        light = to_light(levels, 0, None) if is_srgb else levels ** np.float32(1 / gamma)
        return _Encoding(light, (red, green, blue, (float(white[0]), float(white[1]))))
    if image.format in ("JPEG", "MPO", "TIFF") and image.mode == "RGB" and _is_adobe_rgb(image):
        return _Encoding(levels ** np.float32(ADOBE_GAMMA), ADOBE_RGB)
    return None


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Check whether the EXIF data say that a camera, which embeds no profile, wrote Adobe RGB."""
    try:
        exif = image.getexif()
        details = exif.get_ifd(ExifTags.IFD.Exif)
        if ExifTags.IFD.Interop not in details:
            return False
        interoperability = str(exif.get_ifd(ExifTags.IFD.Interop).get(1))
    except (OSError, ValueError, TypeError, KeyError, SyntaxError, struct.error):
        return False  # damaged data state nothing
    return details.get(ExifTags.Base.ColorSpace) in (2, 0xFFFF) and interoperability.startswith("R03")


def _flatten(primaries: Chromaticities) -> tuple[float, ...]:
    red, green, blue, white = primaries
    return *white, *red, *green, *blue


def _is_srgb(encoding: _Encoding) -> bool:
    levels = np.stack(np.meshgrid(*[np.arange(0, 256, 15, dtype=np.uint8)] * 3), -1).reshape(1, -1, 3)
    return _max_difference(_convert(levels, encoding), levels) <= MAX_DIFFERENCE


def _convert(rgb: npt.NDArray[np.uint8], encoding: _Encoding) -> npt.NDArray[np.uint8]:
    """Convert (H, W, 3) to sRGB; what is brighter or outside of its gamut is clipped."""
    matrix = compute_gamut_matrix(encoding.primaries).astype(np.float32)
    light = np.asarray(cv2.transform(encoding.light[rgb], matrix))
    return quantize(to_signal(np.clip(light, 0, 1), None).astype(np.float32))


def _max_difference(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> int:
    return int(np.abs(a.astype(np.int16) - b).max())
