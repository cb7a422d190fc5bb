import sys

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from faceanim.errors import FaceanimError
from faceanim.media.images import MAX_PIXELS, read_image
from tests.helpers.encoding import png_claiming

PLAIN = astronaut()


@pytest.mark.parametrize(
    ("name", "mode", "levels"),
    [
        ("png.png", "RGB", 0),
        ("bmp.bmp", "RGB", 0),
        ("tiff.tiff", "RGB", 0),
        ("ppm.ppm", "RGB", 0),
        ("jpeg.jpg", "RGB", 4),
        ("cmyk.jpg", "CMYK", 5),
        ("webp.webp", "RGB", 8),
        ("avif.avif", "RGB", 8),
        ("gif.gif", "P", 16),
        ("no suffix", "RGB", 4),
    ],
)
def test_formats(tmp_path, name, mode, levels):
    kind = "JPEG" if "." not in name else None
    Image.fromarray(PLAIN).convert(mode).save(tmp_path / name, kind)
    read = read_image(tmp_path / name)
    assert read.shape == PLAIN.shape
    assert read.dtype == np.uint8
    assert np.abs(read.astype(int) - PLAIN).mean() <= levels


def test_sixteen_bits_are_scaled_not_cut_off(tmp_path):
    gray = cv2.cvtColor(PLAIN, cv2.COLOR_RGB2GRAY)
    cv2.imwrite(str(tmp_path / "gray.png"), gray.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "color.png"), PLAIN[..., ::-1].astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "gray.tiff"), gray.astype(np.uint16) * 257)
    for name in ("gray.png", "gray.tiff"):
        read = read_image(tmp_path / name)
        assert np.abs(read[..., 0].astype(int) - gray).max() <= 1
        assert np.array_equal(read[..., 0], read[..., 2])
    assert np.abs(read_image(tmp_path / "color.png").astype(int) - PLAIN).max() <= 1


def test_a_dark_sixteen_bit_image_stays_dark(tmp_path):
    cv2.imwrite(str(tmp_path / "dark.png"), np.full((64, 64), 6554, np.uint16))
    assert set(read_image(tmp_path / "dark.png").ravel().tolist()) == {26}


def test_transparent_pixels_become_white_whatever_their_color(tmp_path):
    alpha = np.full(PLAIN.shape[:2], 255, np.uint8)
    alpha[:100] = 0
    Image.fromarray(np.dstack((PLAIN, alpha))).save(tmp_path / "alpha.png")
    read = read_image(tmp_path / "alpha.png")
    assert (read[:100] == 255).all()
    assert np.array_equal(read[100:], PLAIN[100:])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_by_exif(tmp_path, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PLAIN[:, :400]).save(tmp_path / "rotated.png", exif=exif)
    with Image.open(tmp_path / "rotated.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(read_image(tmp_path / "rotated.png"), expected)
    assert expected.shape == ((400, 512, 3) if orientation > 4 else (512, 400, 3))


def test_heic_is_read_or_refused_with_instructions(tmp_path, monkeypatch):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.fromarray(PLAIN)).save(tmp_path / "phone.heic", quality=90)
    assert np.abs(read_image(tmp_path / "phone.heic").astype(int) - PLAIN).mean() < 6
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(FaceanimError, match=r"phone\.heic: no reader for HEIC.*faceanim\[heic\]"):
        read_image(tmp_path / "phone.heic")


def test_a_file_that_is_no_image_is_refused_with_one_line(tmp_path):
    jpeg = cv2.imencode(".jpg", PLAIN)[1].tobytes()
    files = {
        "text.png": (b"no picture", "not an image of a supported format"),
        "empty.jpg": (b"", "not an image of a supported format"),
        "cut.jpg": (jpeg[: len(jpeg) // 2], "not an image of a supported format"),
        "script.eps": (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "not an image of a supported format",
        ),
        "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image of a supported format"),
        "bomb.png": (png_claiming(60_000, 60_000), "too large"),
        "large.png": (png_claiming(MAX_PIXELS // 10_000 + 1, 10_000), "megapixels"),
        "tiny.png": (cv2.imencode(".png", PLAIN[:1, :1])[1].tobytes(), "only 1x1 pixels"),
        "line.png": (cv2.imencode(".png", PLAIN[:2])[1].tobytes(), "only 512x2 pixels"),
    }
    for name, (content, message) in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FaceanimError, match=message) as error:
            read_image(tmp_path / name)
        assert name in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(FaceanimError, match="No such file"):
        read_image(tmp_path / "missing.png")
    with pytest.raises(FaceanimError, match=r"Permission denied|not an image"):
        read_image(tmp_path)


@pytest.mark.slow
def test_fifty_megapixels_are_read(tmp_path):
    large = cv2.resize(PLAIN, (7100, 7100), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(tmp_path / "large.jpg"), large)
    assert read_image(tmp_path / "large.jpg").shape == (7100, 7100, 3)
