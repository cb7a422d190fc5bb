"""Photographs are read in sRGB, whatever their files are in; those in sRGB are read as they are."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage.data import astronaut

from faceanim.media.images import read_image
from tests.helpers.icc_profiles import ADOBE, P3, cmyk_profile, gray_profile, rgb_profile
from tests.helpers.wide_colors import KINDS, TO_P3

PLAIN = astronaut()[:200, 100:360]
SRGB = ImageCms.createProfile("sRGB")


def decode_srgb(levels: np.ndarray) -> np.ndarray:
    signal = levels / 255
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


LIGHT = decode_srgb(PLAIN)


def difference(path, expected=PLAIN):
    return float(np.abs(read_image(path).astype(float) - expected).mean())


def in_profile(profile: bytes) -> Image.Image:
    """The picture in a profile's colors."""
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    image = ImageCms.profileToProfile(Image.fromarray(PLAIN), SRGB, target, outputMode="RGB")
    assert image is not None
    return image


def encode_srgb(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)


def to_levels(signal: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(signal, 0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize("primaries", [P3, ADOBE])
@pytest.mark.parametrize(
    ("name", "levels"), [("p.png", 1), ("p.tiff", 1), ("p.jpg", 3), ("p.webp", 4), ("p.avif", 3)]
)
def test_a_profile_is_converted(tmp_path, primaries, name, levels):
    profile = rgb_profile(primaries)
    in_profile(profile).save(tmp_path / name, icc_profile=profile, quality=98)
    assert difference(tmp_path / name) < levels


def test_a_profile_of_heic_is_converted(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    profile = rgb_profile(P3)
    image = in_profile(profile)
    image.info["icc_profile"] = profile
    pillow_heif.from_pillow(image).save(tmp_path / "p.heic", quality=98)
    assert difference(tmp_path / "p.heic") < 3


def test_the_script_s_photographs_look_alike(awkward):
    # The script takes the levels for sRGB, although ffmpeg notes the curve of BT.709 in the file.
    plain = np.asarray(Image.open(awkward / "portrait.png").convert("RGB"))
    for name in ("portrait_p3.png", "portrait_adobe.png"):
        assert difference(awkward / name, plain) < 1


def test_palettes_and_transparency_keep_their_profile(tmp_path):
    profile = rgb_profile(P3)
    image = in_profile(profile)
    image.quantize(256, dither=Image.Dither.NONE).save(tmp_path / "palette.png", icc_profile=profile)
    plain = Image.fromarray(PLAIN).quantize(256, dither=Image.Dither.NONE)
    assert difference(tmp_path / "palette.png") < difference_of(plain) + 2
    alpha = np.full(PLAIN.shape[:2], 255, np.uint8)
    alpha[:50] = 0
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "alpha.png", icc_profile=profile)
    assert (read_image(tmp_path / "alpha.png")[:50] == 255).all()
    assert np.abs(read_image(tmp_path / "alpha.png")[50:].astype(float) - PLAIN[50:]).mean() < 1


def difference_of(image: Image.Image) -> float:
    return float(np.abs(np.asarray(image.convert("RGB")).astype(float) - PLAIN).mean())


@pytest.mark.parametrize("bits", [8, 16])
def test_gray_is_converted_by_a_gray_profile(tmp_path, bits):
    gray = cv2.cvtColor(PLAIN, cv2.COLOR_RGB2GRAY)
    light = decode_srgb(gray)
    scale, dtype = (255, np.uint8) if bits == 8 else (65535, np.uint16)
    image = Image.fromarray(np.rint(light ** (1 / 1.4) * scale).astype(dtype))
    image.save(tmp_path / "gray.png", icc_profile=gray_profile(1.4))
    assert difference(tmp_path / "gray.png", gray[..., None]) < 1.5


def test_gray_with_a_profile_of_colors_is_read(tmp_path):
    Image.fromarray(PLAIN[..., 0]).save(tmp_path / "gray.jpg", icc_profile=rgb_profile(P3))
    assert difference(tmp_path / "gray.jpg", PLAIN[..., :1]) < 4


def test_inks_are_converted_by_their_profile(tmp_path):
    image = Image.new("CMYK", (64, 64), (255, 255, 0, 0))
    image.save(tmp_path / "inks.tiff", icc_profile=cmyk_profile())
    # Two of five steps below white: L* = 60.
    assert np.abs(read_image(tmp_path / "inks.tiff").astype(int) - 145).max() <= 2


@pytest.mark.parametrize("make", ["none", "built in", "rounded"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_srgb_is_read_as_it_is(tmp_path, make, mode):
    profiles = {
        "none": None,
        "built in": ImageCms.ImageCmsProfile(SRGB).tobytes(),
        "rounded": ImageCms.ImageCmsProfile(SRGB).tobytes().replace(b"sRGB built-in", b"IEC 61966-2.1"),
    }
    Image.fromarray(PLAIN).convert(mode).save(tmp_path / "p.png", icc_profile=profiles[make])
    Image.fromarray(PLAIN).convert(mode).save(tmp_path / "plain.png")
    assert np.array_equal(read_image(tmp_path / "p.png"), read_image(tmp_path / "plain.png"))


@pytest.mark.parametrize(
    "profile", [b"broken", rgb_profile(P3)[:200], cmyk_profile(), gray_profile(2.2), b"x" * 600]
)
def test_a_profile_that_cannot_be_used_is_said(tmp_path, caplog, profile):
    path = tmp_path / "p.png"
    Image.fromarray(PLAIN).save(path, icc_profile=profile)
    assert np.array_equal(read_image(path), PLAIN)
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: its ICC profile is damaged or does not fit its pixels, so its colors may be wrong"
    ]


def insert_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    chunk = struct.pack(">I", len(content)) + kind + content
    return png[:33] + chunk + struct.pack(">I", zlib.crc32(kind + content)) + png[33:]


def png_of(signal: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(to_levels(signal)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("kind", ["pq", "hlg"])
def test_a_png_of_high_dynamic_range_is_converted(tmp_path, kind):
    colors = KINDS[kind]
    png = png_of(colors.encode(np.clip(LIGHT @ colors.gamut.T, 0, None)))
    (tmp_path / "p.png").write_bytes(insert_chunk(png, b"cICP", bytes([9, colors.transfer, 0, 1])))
    assert difference(tmp_path / "p.png") < 2


def test_primaries_and_gamma_of_a_png_are_converted(tmp_path):
    png = png_of(encode_srgb(LIGHT @ TO_P3.T))
    p3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    wide = insert_chunk(insert_chunk(png, b"cHRM", p3), b"gAMA", struct.pack(">I", 45455))
    (tmp_path / "p3.png").write_bytes(wide)
    assert difference(tmp_path / "p3.png") < 1
    (tmp_path / "linear.png").write_bytes(insert_chunk(png_of(LIGHT), b"gAMA", struct.pack(">I", 100000)))
    assert difference(tmp_path / "linear.png") < 2
    (tmp_path / "srgb.png").write_bytes(insert_chunk(png_of(PLAIN / 255), b"gAMA", struct.pack(">I", 45455)))
    assert np.array_equal(read_image(tmp_path / "srgb.png"), PLAIN)


@pytest.mark.parametrize("name", ["p.heic", "p.avif"])
def test_numbers_of_heic_and_avif_are_heeded(tmp_path, name):
    file, image = io.BytesIO(), Image.fromarray(to_levels(encode_srgb(LIGHT @ TO_P3.T)))
    if name.endswith("heic"):
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.from_pillow(image).save(file, quality=98)
    else:
        image.save(file, "AVIF", quality=98)
    tagged = file.getvalue().replace(b"colrnclx\x00\x01\x00\x0d", b"colrnclx\x00\x0c\x00\x0d")
    (tmp_path / name).write_bytes(tagged)
    assert difference(tmp_path / name) < 3


def test_adobe_rgb_of_a_camera_is_converted(tmp_path):
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 0xFFFF, 0xA005: {1: "R03\0"}}
    in_profile(rgb_profile(ADOBE)).save(tmp_path / "camera.jpg", exif=exif, quality=98)
    assert difference(tmp_path / "camera.jpg") < 3
